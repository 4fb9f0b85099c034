create or replace function rowferry._schema_facts(
  p_peer text,
  p_after text default '',
  p_time interval default null
)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
as $$
declare
  v_began timestamptz := clock_timestamp();
  v_last text;
  v_entity rowferry.entities;
  v_sequences jsonb;
  v_entities jsonb := '{}';
  v_apart record;
begin
  for v_entity in
    select e.* from rowferry.entities e
    where e.peer = p_peer and e.name collate "C" > p_after
    order by e.name collate "C"
  loop
    if v_entities <> '{}' and clock_timestamp() - v_began > p_time then
      v_last := (select max(k collate "C") from jsonb_object_keys(v_entities) k);
      exit;
    end if;
    v_apart := rowferry._table_apart(v_entity);
    if not exists (select from pg_class c where c.oid = v_entity.relation) then
      v_entities := v_entities || jsonb_build_object(v_entity.name,
        jsonb_build_object('relation', v_entity.relation_name, 'apart', jsonb_build_object('problem', v_apart.o_problem, 'fix', v_apart.o_fix)));
      continue;
    end if;
    v_sequences := rowferry._sequences_of(v_entity);
    v_entities := v_entities || jsonb_build_object(v_entity.name, jsonb_build_object(
      'relation', v_entity.relation::text,
      'apart', case when v_apart.o_unusable then jsonb_build_object('problem', v_apart.o_problem, 'fix', v_apart.o_fix) end,
      'direction', v_entity.direction, 'filter', v_entity.filter, 'within', v_entity.within, 'outbound', v_entity.outbound,
      'named', nullif(v_entity.columns_given, false), 'key', v_entity.key_columns, 'key_types', v_entity.key_types,
      'rules', (select jsonb_object_agg(r.key, r.value) from jsonb_each_text(to_jsonb(v_entity)) r where r.key in ('conflict_rule', 'orphan_rule')),
      'columns', (
        select jsonb_object_agg(c.name, jsonb_build_object('local', c.local, 'type', t.spelled, 'collation', o.collname,
          'required', case when v_entity.outbound is null then a.attnotnull end,
          'sequence', nullif((v_sequences -> c.local) - '{used,taken,theirs_taken}'::text[], '{}') || coalesce((
            select jsonb_build_object('block', g.block) from rowferry.staggered_sequences g
            -- By name, because to_regclass() needs usage on the sequence's schema.
            where g.sequence::text = v_sequences #>> array[c.local, 'name']), '{}'),
          'used', v_sequences #> array[c.local, 'used'], 'taken', v_sequences #> array[c.local, 'taken'],
          'theirs_taken', v_sequences #> array[c.local, 'theirs_taken']))
        from rowferry._entity_columns(v_entity) c
        join pg_attribute a on a.attrelid = (select rowferry._travelling_relation(v_entity)) and a.attname = c.local
        left join pg_collation o on o.oid = a.attcollation
        cross join lateral (select rowferry._type_spelled(a.atttypid, a.atttypmod, true)) t (spelled)),
      'others', rowferry._other_columns(v_entity),
      'uniques', (
        select jsonb_agg(jsonb_build_object('name', i.indexrelid::regclass::text, 'columns', u.columns, 'where', pg_get_expr(i.indpred, i.indrelid),
          'expressions', pg_get_expr(i.indexprs, i.indrelid)) order by u.columns, i.indexrelid)
        from pg_index i
        cross join lateral (
          select array_agg(coalesce(c.name, a.attname) order by coalesce(c.name, a.attname) collate "C")
          from pg_attribute a
          left join unnest(v_entity.columns, v_entity.local_columns) c (name, local) on c.local = a.attname
          where a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])) u (columns)
        where i.indrelid = v_entity.relation and i.indisunique and (u.columns <> v_entity.key_columns or i.indpred is not null or i.indexprs is not null)),
      'foreign_keys', (
        select jsonb_agg(jsonb_build_object('columns', k.columns, 'parent', case when f.parent_peer = p_peer then f.parent end,
          'table', f.parent_relation::text, 'on_delete', f.on_delete, 'on_update', f.on_update) order by k.columns, f.id)
        from rowferry._foreign_keys f
        cross join lateral (
          select array_agg(coalesce(c.name, l.name) order by coalesce(c.name, l.name) collate "C")
          from unnest(f.columns) l (name)
          left join unnest(v_entity.columns, v_entity.local_columns) c (name, local) on c.local = l.name) k (columns)
        where f.child_id = v_entity.id),
      'triggers', (
        select jsonb_object_agg(t.tgname, concat_ws(' ', case when t.tgtype & 2 > 0 then 'before' else 'after' end,
          concat_ws(' or ', case when t.tgtype & 4 > 0 then 'insert' end, case when t.tgtype & 16 > 0 then 'update' end,
            case when t.tgtype & 8 > 0 then 'delete' end),
          case when t.tgtype & 1 > 0 then 'for each row' else 'for each statement' end))
        from pg_trigger t
        where t.tgrelid = v_entity.relation and rowferry._runs_for_peer(t))));
  end loop;
  return jsonb_strip_nulls(jsonb_build_object('after', p_after, 'last', v_last, 'clock', extract(epoch from rowferry._now()),
    'server', current_setting('server_version_num')::integer, 'merging', rowferry._merging_function(),
    'encoding', getdatabaseencoding(), 'entities', v_entities, 'behind', rowferry._behind(p_peer),
    -- Versions of PostgreSQL differ in the columns of pg_database.
    'collation', (
      select jsonb_build_object('name', coalesce(j ->> 'datlocale', j ->> 'daticulocale', j ->> 'datcollate'),
        'provider', coalesce(j ->> 'datlocprovider', 'c'), 'version', j ->> 'datcollversion')
      from (select to_jsonb(d) from pg_database d where d.datname = current_database()) d (j))));
exception
  when lock_not_available then
    return null;
  when undefined_table or undefined_column or undefined_object or insufficient_privilege or sqlstate 'RF039' then
    return jsonb_build_object('unreadable', sqlerrm, 'sqlstate', sqlstate);
end
$$;
comment on function rowferry._schema_facts(text, text, interval) is
  'What the peer''s check() needs to know about this node, for the header of an envelope. It covers as many entities after p_after as can be looked at in '
  'p_time (null: all). last says where the next envelope goes on and is absent after the last entity; apart says what keeps this node from reading and '
  'writing the table. The result is null while somebody has a table locked; then the next envelope tells it. If something cannot be read, the error stands '
  'in place of the entities.';
