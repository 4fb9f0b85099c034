create or replace function rowferry._capture_blocks(
  p_entities rowferry.entities[]
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_partitioned constant boolean := (select c.relkind = 'p' from pg_class c where c.oid = p_entities[1].relation);
  v_ids integer[];
  v_entity rowferry.entities;
  v_table rowferry.entities;  -- the same without its outbound view
  v_call text;
  v_way_out text;
  v_label text;
  v_peers text;  -- FROM item with the number and the peer of each entity of the block, if it has several
begin
  for v_ids in
    select array_agg(e.id order by e.id)
    from unnest(p_entities) e
    -- Rows that follow a parent, and those of a filter, are looked at for each entity by itself.
    group by case when v_partitioned or coalesce(e.filter, e.within) is not null then e.id end,
      e.key_columns, e.columns, e.local_columns, e.column_types, e.column_numbers, e.outbound
    order by 1
  loop
    select e.* into v_entity from unnest(p_entities) e where e.id = v_ids[1];
    v_label := 'entity_' || v_entity.id;
    v_call := format('select rowferry.attach(%L, %L);', v_entity.relation, v_entity.name);
    v_table := v_entity;
    if v_entity.outbound is not null then
      -- Capture reads the table, whose columns have other numbers than those of the view.
      v_table.outbound := null;
      v_table.column_numbers := null;
    end if;
    if exists (
      select from unnest(v_entity.columns, v_entity.column_types, rowferry._column_types(v_table)) c (name, type, type_now)
      where c.type_now is distinct from c.type and (c.name = any (v_entity.key_columns) or v_partitioned and v_entity.outbound is null)
    ) then
      return next format($f$  raise exception using errcode = '42703', message = %L,
    hint = %L;$f$, format('changes of %s cannot be captured: its columns are not those that were attached', v_entity.name), v_call);
      continue;
    end if;
    -- If a write fails because the table was altered, the error's QUERY or CONTEXT shows this.
    v_way_out := format('%s was altered? Change it back, or %s', v_entity.name, v_call);
    v_way_out := format('/* %s */', replace(replace(v_way_out, '*/', '* /'), '/*', '/ *'));
    v_peers := (select '(values ' || string_agg(format('(%s, %L)', e.id, e.peer), ', ' order by e.id) || ') p (id, peer)'
      from unnest(p_entities) e where e.id = any (v_ids) and cardinality(v_ids) > 1);
    return next format($f$  <<%1$s>>
  declare
    v_hops smallint := 0;
    v_keys pg_catalog.text[];
    v_everything boolean;
%2$s  begin%3$s
  -- The column keys lists the records that need no event. If it is null, nothing but the applier can write this table now, so nothing is captured for its peer
  -- (v_everything).
  if v_applying then
    select a.hops, coalesce(k.keys, '{}'), k.entity_id is not null and k.keys is null, %4$s
    into v_hops, v_keys, v_everything, %5$s
    from rowferry.applying a
    left join rowferry.applying k on k.transaction_id operator(pg_catalog.=) a.transaction_id and k.entity_id operator(pg_catalog.=) %6$s
    where a.transaction_id operator(pg_catalog.=) pg_catalog.pg_current_xact_id() and a.entity_id operator(pg_catalog.=) 0;
    v_hops := coalesce(v_hops, 0);
%7$s  end if;
%8$s
  end %1$s;$f$, v_label,
      case when v_peers is not null then E'    v_peer pg_catalog.text;  -- whose changes are applied: they are passed on to the others\n'
        else E'    v_passes boolean := false;  -- whether a change of another peer is applied, which is passed on\n' end,
      case when not v_partitioned then rowferry._capture_one_sql(v_entity, v_way_out, v_label, v_peers) end,
      case when v_peers is not null then 'a.keys[1]' else format('a.keys operator(pg_catalog.<>) array[%L]', v_entity.peer) end,
      case when v_peers is not null then 'v_peer' else 'v_passes' end,
      case when v_peers is not null then format('any (array[%s])', array_to_string(v_ids, ', ')) else v_entity.id::text end,
      case when v_peers is null then format(E'    exit %s when v_everything;\n    v_passes := coalesce(v_passes, false);\n', v_label) end,
      btrim(case when v_partitioned then rowferry._capture_row_sql(v_entity, v_way_out)
        else rowferry._capture_statement_sql(v_entity, v_way_out, v_peers) end, E'\n'));
  end loop;
end
$function$;
comment on function rowferry._capture_blocks(rowferry.entities[]) is
  'PL/pgSQL of the capture function of a table: a block for each of its entities, or for several that have the same key and columns and no rows to leave out. '
  'While rows of one peer are applied, its entity is the one that gets no event for the records that the applier is writing. If a column without which changes '
  'of an entity cannot be captured is not the one that was attached, its block raises an error, so that nothing is lost until attach() is called for it.';
