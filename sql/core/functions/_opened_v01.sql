-- A section of the peer's with its events, which are needed only where both sides changed something, or not all of it can be taken: most batches never need
-- them. One id stands for consecutive ones from there, one stamp for all.
create or replace function rowferry._opened(
  p_section rowferry._section
)
returns rowferry._section
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
as $$
declare
  v_count integer;
begin
  if p_section.events_sent is null then
    return p_section;
  end if;
  begin
    p_section.event_keys := coalesce(p_section.events_sent[1]::text[], p_section.keys);
    p_section.event_ids := p_section.events_sent[2]::bigint[];
    v_count := cardinality(p_section.event_keys);
    if cardinality(p_section.event_ids) = 1 then
      p_section.event_ids := array(select p_section.event_ids[1] + n from generate_series(0, v_count - 1) n);
    end if;
    p_section.event_stamps := array(select to_timestamp(s) from unnest(p_section.events_sent[3]::float8[]) s);
    if cardinality(p_section.event_stamps) = 1 then
      p_section.event_stamps := array_fill(p_section.event_stamps[1], array[v_count]);
    end if;
    if cardinality(p_section.event_ids) is distinct from v_count or cardinality(p_section.event_stamps) is distinct from v_count
      or cardinality(p_section.event_hops) <> v_count then
      raise exception using errcode = '22023', message = 'a section has not as many events as it says';
    end if;
  exception
    when data_exception then
      raise exception using errcode = 'RF004', message = 'the envelope is not well formed', detail = sqlerrm,
        hint = 'Nothing was applied. Envelopes are made by rowferry.process_batch() on the peer; look who else has the role rowferry_worker.';
  end;
  p_section.events_sent := null;
  return p_section;
end
$$;
comment on function rowferry._opened(rowferry._section) is 'A section of the peer''s with its events.';
revoke all on function rowferry._opened(rowferry._section) from public;
