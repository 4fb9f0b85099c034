-- What happens when a row changes. attach() puts AFTER triggers for INSERT, UPDATE and DELETE on the table (_triggers_sql.sql); a table that only receives
-- has none. They are ENABLE ALWAYS, so sessions in replica role are captured too. They fire once a statement, on a partitioned table once a row, and call the
-- function that is generated here, SECURITY DEFINER, in the user's own transaction: if this transaction rolls back, the events go with it.
-- The function writes one line into rowferry.events for each changed row: entity, key as text, kind of change, clock time and hops, and no values. The INSERTs
-- stand in _capture_one_sql.sql, _capture_part_sql.sql and _capture_statement_sql.sql (once a statement), and in _capture_row_sql.sql (once a row). The clock
-- is read once a call, so all rows of one statement have one time; on a partitioned table each row has its own. The kinds are:
-- - INSERT writes i, DELETE writes d, and UPDATE writes u for each row of which a column that travels has changed. If none has, it writes nothing.
-- - A changed key is two lines: d for the old key and i for the new one. If one statement exchanges keys (update t set id = 3 - id), old and new rows are
--   compared key by key, so that it writes u for each. On a partitioned table each row writes its d and its i, also a row that moves to another partition.
-- - If the entity has a filter, changes of rows outside of it write nothing. A row that enters it is an i, and a row that leaves it is a d. If rows of another
--   entity follow such a row (p_within), both are a w, and so are the two lines of a changed key, but not on a partitioned table. Before anything is sent,
--   build/_look_at_moved.sql queues the rows that follow and turns the w into a u or a d.
-- - If the rows of the entity follow a parent, an UPDATE that gives a row another parent writes w, with or without a filter. The d or the w of a user's change
--   has a place: the key of the parent that the row had, or {} if it had none or was outside of the filter. All other lines have none.
-- If a column was dropped, renamed or given another type since attach(), the heads of _capture_statement_sql.sql and _capture_row_sql.sql say what happens.
-- Rows that the applier is writing get no line: their keys stand in rowferry.applying for the time of the transaction. What such a write changes besides, by a
-- cascade or a trigger of the users, gets a line with hops of 1 or more.
-- A table that is attached for several peers is captured once for all entities that have the same key and columns (_captured_together.sql): one statement writes
-- an event for each of them. While rows of one peer are applied, its entity is the one that gets no line for the records that the applier is writing.
-- TRUNCATE is refused. Under the truncate rule propagate it writes a d for each row, and the entity waits for approve() unless its breaker is off
-- (_refuse_truncate.sql). A table that only receives may be truncated.
--
-- The generated function runs with more rights than the table's owner has, so it calls nothing that others made: it calls output functions and compares bytes
-- and text, so that no cast, operator or function of others runs. It is part of every statement of the users, so it must cost little: it has a SET only where
-- it needs one (hence each name is qualified), and its SQL is static; of the catalog it only asks whether the table got a column. The names in a filter are
-- not qualified. So the function of an entity with a filter has a search_path, and the filter sees its columns in the types in which it was proved.
create or replace function rowferry._capture_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- If a write fails because the table was altered, the error's QUERY or CONTEXT shows this.
  v_way_out constant text := format('/* %s */', replace(replace(
    format('%s was altered? Change it back, or select rowferry.attach(%L, %1$L);', p_entity.name, p_entity.relation), '*/', '* /'), '/*', '/ *'));
  v_together constant rowferry.entities[] := array(select t from rowferry._captured_together(p_entity) t);
  v_several constant boolean := cardinality(v_together) > 1;
  v_peers constant text := (select '(values ' || string_agg(format('(%s, %L)', t.id, t.peer), ', ' order by t.id) || ') p (id, peer)'
    from unnest(v_together) t where v_several);
  v_partitioned constant boolean := (select c.relkind = 'p' from pg_class c where c.oid = p_entity.relation);
  v_settings text;
begin
  select string_agg(distinct s.clause, '' order by s.clause) into v_settings
  from rowferry._entity_columns(p_entity) c
  cross join lateral (values
    ('date|timestamp%', E'\nset datestyle = ''ISO, YMD'''),
    ('timestamp with%', E'\nset timezone = ''UTC'''),
    ('bytea', E'\nset bytea_output = ''hex''')) s (types, clause)
  where (c.key_position is not null or c.local = any (p_entity.within_columns) and rowferry._place_sql(p_entity, null) is not null)
    and c.type similar to s.types;
  if p_entity.filter is not null then
    -- What a literal or a function of the filter may depend on.
    v_settings := concat(v_settings, E'\nset search_path = pg_catalog, pg_temp', (
      select string_agg(s.clause, '' order by s.clause)
      from (values ('null', E'\nset array_nulls = on'), ('quote_ident', E'\nset quote_all_identifiers = off'), ('money', E'\nset lc_monetary = ''C'''),
        ('xml', E'\nset xmloption = ''content''')) s (word, clause)
      where strpos(lower(p_entity.filter), s.word) > 0));
  end if;
  return format($f$create or replace function rowferry.%1$I()
returns trigger
language plpgsql
security definer%2$s
as $rowferry$
#variable_conflict use_column
declare
  v_hops smallint := 0;
  v_keys pg_catalog.text[];
  v_everything boolean;
%6$s  v_now constant pg_catalog.timestamptz := rowferry._now();  -- one for all rows of a statement
begin%5$s
  -- Anyone can turn this setting on, but only the applier has rows in rowferry.applying for its transaction. The column keys lists the records that need
  -- no event. If it is null, nothing but the applier can write this table now, so nothing is captured for its peer (v_everything).
  if pg_catalog.current_setting('rowferry.applying', true) operator(pg_catalog.=) 'on' then
    select a.hops, coalesce(k.keys, '{}'), k.entity_id is not null and k.keys is null, %7$s
    into v_hops, v_keys, v_everything, %8$s
    from rowferry.applying a
    left join rowferry.applying k on k.transaction_id operator(pg_catalog.=) a.transaction_id and k.entity_id operator(pg_catalog.=) %3$s
    where a.transaction_id operator(pg_catalog.=) pg_catalog.pg_current_xact_id() and a.entity_id operator(pg_catalog.=) 0;
%9$s  end if;
%4$s
  return null;
end
$rowferry$$f$,
    rowferry._generated_name('capture_', p_entity.name), coalesce(v_settings, ''),
    case when v_several then (select format('any (array[%s])', string_agg(t.id::text, ', ' order by t.id)) from unnest(v_together) t) else p_entity.id::text end,
    btrim(case when v_partitioned then rowferry._capture_row_sql(p_entity, v_way_out)
      else rowferry._capture_statement_sql(p_entity, v_way_out, v_peers) end, E'\n'),
    case when not v_partitioned then rowferry._capture_one_sql(p_entity, v_way_out, v_peers) end,
    case when v_several then E'  v_peer pg_catalog.text;  -- whose changes are applied: they are passed on to the others\n'
      else E'  v_passes boolean := false;  -- whether a change of another peer is applied, which is passed on\n' end,
    case when v_several then 'a.keys[1]' else format('a.keys operator(pg_catalog.<>) array[%L]', p_entity.peer) end,
    case when v_several then 'v_peer' else 'v_passes' end,
    case when v_several then $f$    v_hops := coalesce(v_hops, 0);
$f$ else $f$    if v_everything then
      return null;
    end if;
    v_hops := coalesce(v_hops, 0);
    v_passes := coalesce(v_passes, false);
$f$ end);
end
$function$;
comment on function rowferry._capture_sql(rowferry.entities) is
  'DDL of the capture function of an entity, which its triggers call: it writes an event for each row that changes, but none for the records that the '
  'applier is just writing (rowferry.applying).';
