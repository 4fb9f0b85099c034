-- Lists records of a comparison, as many as its list still takes; one that is listed already is only replaced by a finding. Returns how many are new.
create or replace function rowferry._compare_note(
  p_run_id bigint,
  p_kind text,
  p_keys text[],
  p_room bigint,
  p_note text default null,
  p_hashes_here bigint[] default null,
  p_hashes_there bigint[] default null
)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_new bigint;
begin
  if p_keys is null or p_keys = '{}' then
    return 0;
  end if;
  with noted as (
    insert into rowferry.compared_records as d (run_id, record_id, kind, hash_here, hash_there, note, found_at)
    select p_run_id, k.key, p_kind, k.here, k.there, p_note, rowferry._now()
    from unnest(p_keys, p_hashes_here, p_hashes_there) k (key, here, there)
    limit greatest(p_room, 0)
    on conflict (run_id, record_key) do update
    set kind = excluded.kind, hash_here = excluded.hash_here, hash_there = excluded.hash_there, note = excluded.note, found_at = excluded.found_at
    where excluded.kind <> 'pending'
    returning xmax = 0 as new
  )
  select count(*) filter (where n.new) into v_new from noted n;
  return v_new;
end
$$;
comment on function rowferry._compare_note(bigint, text, text[], bigint, text, bigint[], bigint[]) is 'Lists records of a comparison.';
