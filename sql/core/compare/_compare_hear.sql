create or replace function rowferry._compare_hear(
  p_peer text,
  p_answer jsonb
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  c_milliseconds constant numeric := 50;
  c_too_large constant text := 'the row has more than 4 MB, which a comparison leaves out';
  v_began timestamptz := clock_timestamp();
  v_told jsonb := p_answer -> 'told';
  v_run rowferry.comparisons;
  v_entity rowferry.entities;
  v_most bigint;
  v_left_out text[] := coalesce((v_told ->> 'left_out')::text[], '{}') || coalesce((p_answer ->> 'left_out')::text[], '{}');
  v_large text[] := coalesce((v_told ->> 'large')::text[], '{}') || coalesce((p_answer ->> 'large')::text[], '{}');
  v_different text[] := coalesce((p_answer ->> 'different')::text[], '{}');
  v_only_here text[] := coalesce((p_answer ->> 'only_here')::text[], '{}');
  v_only_there text[] := coalesce((p_answer ->> 'only_there')::text[], '{}');
  v_on_purpose text[] := (v_told ->> 'on_purpose')::text[];  -- by skips on this node
  v_keys text[];
  v_seen record;
  v_new record;
  v_ms numeric;
begin
  select c.* into v_run
  from rowferry.comparisons c
  where c.peer = p_peer and c.tag = (p_answer ->> 'run')::uuid and c.step = (p_answer ->> 'step')::integer and c.sent_at is not null
    and c.state in ('walking', 'resolving');
  if not found then
    return;
  elsif p_answer ->> 'error' is not null then
    raise exception using errcode = 'RF050', message = p_answer ->> 'error';
  elsif (p_answer ->> 'slow')::boolean then
    update rowferry.comparisons c set sent_at = null, chunk = greatest(1, c.chunk / 4) where c.id = v_run.id;
    return;
  end if;
  select e.* into v_entity from rowferry.entities e where e.name = v_run.entity and e.peer = p_peer;
  if v_run.state = 'resolving' then
    perform rowferry._compare_queue(v_run.id, v_entity.id, (v_told ->> 'keys')::text[], (v_told ->> 'there')::text[] || (p_answer ->> 'there')::text[]);
    return;
  end if;

  if v_run.phase = 'again' then
    -- These records are judged now, so they are no longer listed as pending.
    with known as (
      delete from rowferry.compared_records d
      where d.run_id = v_run.id and d.kind = 'pending' and d.note is null and (v_run.walked_to is null or d.record_key > rowferry._index_key(v_run.walked_to))
        and d.record_key <= rowferry._index_key(v_told ->> 'last') and d.record_id not in (select unnest(v_left_out))
      returning 1
    )
    select v_run.listed - count(*), v_run.pending - count(*) into v_run.listed, v_run.pending from known;
    v_left_out := '{}';
    v_run.walked_to := v_told ->> 'last';
  elsif v_run.phase = 'here' then
    v_run.rows_here := v_run.rows_here + (v_told ->> 'walked')::bigint;
    v_run.walked_to := v_told ->> 'last';
  else
    v_keys := (p_answer ->> 'keys')::text[];
    v_seen := rowferry._compared(v_entity, v_keys || v_left_out, null, null, null, false);
    v_on_purpose := v_seen.o_on_purpose;
    v_only_there := array(select k from unnest(v_keys) k where k not in (select unnest(v_seen.o_keys || v_seen.o_left_out)));
    v_left_out := array(select k from unnest(v_left_out) k where k not in (select unnest(v_seen.o_keys))
      union select k from unnest(v_keys) k where k in (select unnest(v_seen.o_left_out)));
    v_run.rows_there := v_run.rows_there + (p_answer ->> 'walked')::bigint;
    v_run.walked_to := p_answer ->> 'last';
    if v_run.walked_to is null then
      v_run.phase := 'again';
    end if;
  end if;

  v_most := case v_run.kind when 'compare' then 100000 else 10000000 end;
  with found (place, kind, key, hash_here, hash_there, note) as (
    select 1, 'different', d.key, d.here, d.there, null
    from unnest(v_different, (p_answer ->> 'hashes_here')::bigint[], (p_answer ->> 'hashes_there')::bigint[]) d (key, here, there)
    union all select 2, 'only_here', k, null, null, null from unnest(v_only_here) k
    union all select 3, 'only_there', k, null, null, null from unnest(v_only_there) k
    union all select 4, 'pending', k, null, null, null from unnest(v_left_out) k
    union all select 5, 'pending', k, null, null, c_too_large from unnest(v_large) k
  ), purposes as (
    select p.key, min(p.node) as node
    from (
      select unnest((p_answer ->> 'on_purpose')::text[]), p_peer
      union all
      select unnest(v_on_purpose), n.name from rowferry.node n) p (key, node)
    group by p.key
  ), listed as (
    insert into rowferry.compared_records as d (run_id, record_id, kind, hash_here, hash_there, note, found_at)
    select v_run.id, f.key, f.kind, f.hash_here, f.hash_there,
      coalesce(f.note, 'different on purpose, by a skip on ' || p.node), rowferry._now()
    from found f left join purposes p on p.key = f.key and f.kind <> 'pending'
    order by f.place
    limit greatest(v_most - v_run.listed, 0)
    on conflict (run_id, record_key) do update
    set kind = excluded.kind, hash_here = excluded.hash_here, hash_there = excluded.hash_there, note = excluded.note, found_at = excluded.found_at
    where excluded.kind <> 'pending'
    returning xmax = 0 as is_new, d.kind, d.note
  )
  select count(*) filter (where l.is_new) as listed, count(*) filter (where l.is_new and l.kind = 'pending') as pending,
    count(*) filter (where l.kind <> 'pending' and l.note is not null) as on_purpose
  into v_new from listed l;
  v_run.listed := v_run.listed + v_new.listed;
  -- Records beyond the end of the list cannot be asked for again, so they stay pending.
  v_run.pending := v_run.pending + case when v_run.listed < v_most then v_new.pending else cardinality(v_left_out) + cardinality(v_large) end;
  v_ms := greatest((v_told ->> 'ms')::numeric, (p_answer ->> 'ms')::numeric, extract(epoch from clock_timestamp() - v_began) * 1000, 1);
  update rowferry.comparisons c
  set phase = v_run.phase, walked_to = v_run.walked_to, sent_at = null, unanswered = 0,
    chunk = greatest(10, least(20000, (c.chunk * greatest(0.25, least(2, c_milliseconds / v_ms)))::integer)),
    rows_here = v_run.rows_here, rows_there = v_run.rows_there, same = c.same + coalesce((p_answer ->> 'same')::bigint, 0),
    different = c.different + cardinality(v_different), only_here = c.only_here + cardinality(v_only_here),
    only_there = c.only_there + cardinality(v_only_there), pending = v_run.pending, on_purpose = c.on_purpose + v_new.on_purpose, listed = v_run.listed
  where c.id = v_run.id;
end
$$;
comment on function rowferry._compare_hear(text, jsonb) is
  'Notes the answer to the last question of a comparison; any other answer is late and ignored. Rows that only the peer has are found here, from the '
  'keys that it walked: as for its own answers, the caller has made sure that its envelope is the newest that was heard. A record that is listed already '
  'is only replaced by a finding. Raises the error that the peer reports.';
