create or replace function rowferry._compare_ask(
  p_link rowferry.links
)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  c_rounds constant integer := 10;
  c_bytes constant bigint := 8388608;
  v_began timestamptz := clock_timestamp();
  v_token text := p_link.token_number || '-' || p_link.token_random;
  v_run rowferry.comparisons;
  v_entity rowferry.entities;
  v_seen record;
  v_keys text[];
  v_question jsonb;
begin
  select c.* into v_run
  from rowferry.comparisons c
  where c.peer = p_link.peer and c.state in ('queued', 'walking', 'resolving')
    -- Entities for which a person must act first are left out.
    and not (c.state = 'resolving' and exists (
      select from rowferry.entities e where e.name = c.entity and e.peer = c.peer and e.held_until = 'infinity'))
  order by c.id limit 1;
  if not found then
    return null;
  end if;
  if v_run.sent_at > clock_timestamp() - interval '5 s' and v_run.sent_token = v_token or v_run.not_before > clock_timestamp() then
    return null;
  end if;
  select e.* into v_entity from rowferry.entities e where e.name = v_run.entity and e.peer = v_run.peer;
  if not found then
    raise exception using errcode = 'RF011', message = 'the entity was detached';
  elsif v_run.unanswered >= 20 then
    raise exception using errcode = 'RF050', message = 'the other node does not answer; if its schema is older: alembic upgrade head there';
  end if;
  if v_run.state = 'resolving' then
    v_question := rowferry._compare_resolve(v_run, v_entity, p_link.batch_limit);
    if v_question is null then
      return null;
    end if;
  elsif v_run.phase = 'here' then
    loop
      v_seen := rowferry._compared(v_entity, null, v_run.walked_to, v_run.chunk, c_bytes, true);
      exit when v_seen.o_cut = '{}' or v_run.chunk = 1;
      v_run.chunk := greatest(1, v_run.chunk / 4);
    end loop;
    if v_seen.o_walked = 0 then
      v_run.phase := 'there';
      v_run.walked_to := null;
    end if;
  elsif v_run.phase = 'again' then
    v_keys := array(
      select d.record_id from rowferry.compared_records d
      where d.run_id = v_run.id and d.kind = 'pending' and d.note is null and (v_run.walked_to is null or d.record_key > rowferry._index_key(v_run.walked_to))
      order by d.record_key limit v_run.chunk);
    if v_keys = '{}' then
      if v_run.round < c_rounds and exists (
          select from rowferry.compared_records d where d.run_id = v_run.id and d.kind = 'pending' and d.note is null) then
        update rowferry.comparisons c
        set walked_to = null, round = c.round + 1, not_before = clock_timestamp() + least(1, 0.1 * power(2, c.round)) * interval '1 s'
        where c.id = v_run.id;
      else
        update rowferry.comparisons c
        set state = 'finished', finished_at = rowferry._now(), walked_to = null, sent_at = null
        where c.id = v_run.id;
        update rowferry.entities e set unsettled_since = null
        where e.id = v_entity.id and e.unsettled_since <= v_run.requested_at and v_run.different = 0 and v_run.pending = 0;
        if v_run.different_choice is not null then
          -- Nobody who chose beforehand has decided about what differs on purpose.
          delete from rowferry.compared_records d where d.run_id = v_run.id and d.kind <> 'pending' and d.note is not null;
          perform rowferry._compare_choose(v_run.id, v_run.only_here_choice, v_run.only_there_choice, v_run.different_choice);
          perform rowferry._hold_mass_delete(v_run) where v_run.only_there_choice = 'here';
        end if;
      end if;
      return null;
    end if;
    v_seen := rowferry._compared(v_entity, v_keys, null, null, c_bytes, true);
    v_seen.o_left_out := v_seen.o_left_out || v_seen.o_cut;
    v_seen.o_last := v_keys[cardinality(v_keys)];
  end if;
  if v_question is null and v_run.phase = 'there' then
    v_question := jsonb_build_object('kind', 'walk', 'after', v_run.walked_to, 'limit', v_run.chunk);
  elsif v_question is null then
    v_question := (
      select jsonb_build_object('kind', 'records', 'keys', coalesce(array_agg(k.key), '{}')::text, 'hashes', coalesce(array_agg(s.hash), '{}')::text,
        'told', jsonb_build_object('walked', v_seen.o_walked, 'last', v_seen.o_last, 'left_out', v_seen.o_left_out::text, 'large', v_seen.o_large::text,
          'on_purpose', v_seen.o_on_purpose::text))
      from unnest(coalesce(v_keys, v_seen.o_keys)) k (key)
      left join unnest(v_seen.o_keys, v_seen.o_hashes) s (key, hash) on s.key = k.key
      where k.key not in (select unnest(v_seen.o_left_out || v_seen.o_large)));
  end if;
  update rowferry.comparisons c
  set state = case c.state when 'queued' then 'walking' else c.state end, phase = v_run.phase, walked_to = v_run.walked_to, chunk = v_run.chunk,
    step = c.step + 1, sent_at = clock_timestamp(), sent_token = v_token, unanswered = c.unanswered + 1
  where c.id = v_run.id;
  return v_question || jsonb_build_object('run', v_run.tag, 'step', v_run.step + 1, 'entity', v_entity.name, 'columns', v_entity.columns,
    'key', v_entity.key_columns || v_entity.key_types,
    'told', coalesce(v_question -> 'told', '{}') || jsonb_build_object('ms', extract(epoch from clock_timestamp() - v_began) * 1000));
end
$$;
comment on function rowferry._compare_ask(rowferry.links) is
  'The next question of the oldest open comparison of a link; null means that it waits for an answer, or has finished. A question that gets no answer, or '
  'whose worker has gone, is asked again as a new step. The comparison walks over the rows here, then over those of the peer, then up to ten times over the '
  'records that had an event in a queue. If the choices were made beforehand, it goes on to resolve; a mass delete waits for approve() first.';
