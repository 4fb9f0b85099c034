create or replace function rowferry._compare_answer(
  p_peer text,
  p_question jsonb
)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  c_bytes constant bigint := 16777216;
  v_began timestamptz := clock_timestamp();
  v_entity rowferry.entities := (select e from rowferry.entities e where e.name = p_question ->> 'entity' and e.peer = p_peer);
  v_answer jsonb := jsonb_build_object('run', p_question -> 'run', 'step', p_question -> 'step', 'told', p_question -> 'told');
  v_keys text[] := (p_question ->> 'keys')::text[];
  v_seen record;
begin
  if v_entity.id is null then
    return v_answer || jsonb_build_object('error',
      format('%s has no such entity: attach its table there under this name', (select n.name from rowferry.node n)));
  elsif to_jsonb(v_entity.columns) <> p_question -> 'columns' or to_jsonb(v_entity.key_columns || v_entity.key_types) <> p_question -> 'key' then
    return v_answer || jsonb_build_object('error', 'the two nodes keep other columns or another key of it: attach the table on both with the same');
  end if;
  if p_question ->> 'kind' = 'newest' then
    return v_answer || jsonb_build_object('there',
      rowferry._later_there(v_entity, p_question ->> 'column', v_keys, (p_question ->> 'values')::text[])::text);
  end if;
  -- One statement, one snapshot.
  v_seen := rowferry._compared(v_entity, v_keys, p_question ->> 'after', (p_question ->> 'limit')::integer,
    case p_question ->> 'kind' when 'records' then c_bytes end, p_question ->> 'kind' = 'records');
  if v_seen.o_cut <> '{}' and cardinality(v_keys) > 1 then
    return v_answer || '{"slow": true}';
  end if;
  if p_question ->> 'kind' = 'walk' then
    v_answer := v_answer || jsonb_build_object('keys', v_seen.o_keys::text, 'walked', v_seen.o_walked, 'last', v_seen.o_last);
  else
    v_answer := v_answer || (
      select jsonb_build_object(
        'same', count(*) filter (where c.here = c.there),
        'different', (array_agg(c.key) filter (where c.here <> c.there))::text,
        'hashes_here', (array_agg(c.here) filter (where c.here <> c.there))::text,
        'hashes_there', (array_agg(c.there) filter (where c.here <> c.there))::text,
        'only_here', (array_agg(c.key) filter (where c.there is null and c.here is not null))::text,
        'only_there', (array_agg(c.key) filter (where c.here is null and c.there is not null))::text)
      from (
        select a.key, a.hash as here, b.hash as there
        from unnest(v_keys, (p_question ->> 'hashes')::bigint[]) a (key, hash)
        left join unnest(v_seen.o_keys, v_seen.o_hashes) b (key, hash) on b.key = a.key
        where a.key not in (select unnest(v_seen.o_left_out || v_seen.o_large))
      ) c);
  end if;
  return v_answer || jsonb_build_object('left_out', v_seen.o_left_out::text, 'large', v_seen.o_large::text, 'on_purpose', v_seen.o_on_purpose::text,
    'ms', extract(epoch from clock_timestamp() - v_began) * 1000);
end
$$;
comment on function rowferry._compare_answer(text, jsonb) is
  'The answer of the node that is asked by a comparison; it stores nothing. The caller has made sure that this is the newest envelope of the peer that was '
  'heard, and that it has been applied and honoured. So a record that has no event in either queue is equal on both nodes, or really differs. The kinds of '
  'questions are records (these keys with their hashes; null: the row does not exist), walk (which keys are next) and newest (whose value of a column is '
  'later). here and there are the asking node''s words.';
