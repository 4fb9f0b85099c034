create or replace function rowferry.replay(
  p_entity text,
  variadic p_record_ids text[]
)
returns table (
  event_id bigint,
  entity text,
  record_id text,
  here boolean,
  state text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $$
#variable_conflict use_column
declare
  v_entity rowferry.entities := rowferry._find_entity(p_entity);
  v_columns text;
  v_keys text[];
  v_read record;
begin
  perform rowferry._refuse_wrong_direction(v_entity, p_sends => true);
  if p_record_ids is null or array_position(p_record_ids, null) is not null then
    raise exception using errcode = 'RF008', message = 'a record has a key', detail = format('%s: null.', v_entity.name),
      hint = format('select * from rowferry.replay(%L, ''17'');', v_entity.name);
  end if;
  -- Keys are spelled as in capture: another spelling would name a record that is gone. A cast to a user's type may be the user's function, which must not run.
  v_columns := (select string_agg(format('k.k%s as %I', c.key_position, c.local), ', ')
    from rowferry._entity_columns(v_entity) c where c.key_position is not null);
  if exists (
    select from rowferry._entity_columns(v_entity) c left join pg_type t on t.oid = c.type_oid
    where c.key_position is not null and t.typnamespace is distinct from 'pg_catalog'::regnamespace) then
    v_keys := array(select distinct (rowferry._present_row(v_entity, k)).o_record_id from unnest(p_record_ids) k);
  else
    execute format('select array_agg(distinct %s) from (select %s from %s) t',
      rowferry._record_id_sql(v_entity, 't'), v_columns, rowferry._keys_sql(v_entity, '$1'))
    into v_keys using p_record_ids;
  end if;
  execute format('select * from rowferry.%I($1, -1)', rowferry._generated_name('read_', v_entity.name)) into v_read using v_keys;
  perform rowferry._left_nothing();
  perform pg_current_xact_id();  -- before an event's number is drawn: see _at_rest()
  return query
  with made as (
    insert into rowferry.events (changed_at, entity_id, event_type, record_id)
    select rowferry._now(), v_entity.id, 'b', k
    from unnest(v_keys) with ordinality u (k, ord)
    where not exists (select from rowferry.skips s
      where s.entity_id = v_entity.id and rowferry._index_key(s.record_id) = rowferry._index_key(k) and s.ended_at is null and not s.kept)
    order by u.ord
    returning id, record_id
  )
  select m.id, v_entity.name, k.record_id, p.present,
    case when m.id is null then format('its change was given up, and %1$s was asked for its row: not sent before the answer; '
          || 'if %1$s has given up its answer too: select * from rowferry.replay(%2$L, %3$L);  -- on %1$s',
        v_entity.peer, v_entity.name, k.record_id)
      when p.present then format('its row goes to %s with the next exchange', v_entity.peer) || case when exists (
          select from rowferry.skips s
          where s.entity_id = v_entity.id and rowferry._index_key(s.record_id) = rowferry._index_key(k.record_id) and s.ended_at is null)
        then format('; its change was given up before: if %s refuses the row again, it stays given up and is not held', v_entity.peer) else '' end
      else format('it is gone here, and will be on %s with the next exchange', v_entity.peer) end
  from unnest(v_keys) k (record_id)
  left join made m using (record_id)
  cross join lateral (
    select k.record_id in (select unnest(v_read.o_keys || v_read.o_cut || v_read.o_large || v_read.o_alone)) as present) p
  order by m.id;
end
$$;
comment on function rowferry.replay(text, text[]) is
  'Sends the present state of some records again: select * from rowferry.replay(''accounts'', ''17'', ''18''); a record that is gone here is deleted there '
  'too. It loses to any real change that the other node has made in the meantime, as a backfill does.';
