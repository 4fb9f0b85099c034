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
-- If a column was dropped, renamed or given another type since attach(), the heads of _capture_statement_sql.sql and _capture_row_sql.sql say what happens; if
-- the outbound view was, _as_captured.sql does.
-- Rows that the applier is writing get no line: their keys stand in rowferry.applying for the time of the transaction. What such a write changes besides, by a
-- cascade or a trigger of the users, gets a line with hops of 1 or more.
-- A table that is attached for several peers has one such function, with a block for each entity. Entities that have the same key and columns, and no rows to
-- leave out, have one block together, in which one statement writes an event for each of them (_capture_blocks.sql).
-- TRUNCATE is refused. Under the truncate rule propagate it writes a d for each row, and the entity waits for approve() unless its breaker is off
-- (_refuse_truncate.sql). A table that only receives may be truncated.
--
-- The generated function runs with more rights than the table's owner has, so it calls nothing that others made: it calls output functions and compares bytes
-- and text, so that no cast, operator or function of others runs. It is part of every statement of the users, so it must cost little: it has a SET only where
-- it needs one (hence each name is qualified), and its SQL is static; of the catalog it only asks whether the table got a column. The names in a filter are
-- not qualified. So the function has a search_path if an entity has a filter, and the filter sees its columns in the types in which it was proved.
create or replace function rowferry._capture_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_together constant rowferry.entities[] := array(select rowferry._as_captured(t) from rowferry._captured_together(p_entity) t);
  v_settings text;
begin
  select string_agg(distinct s.clause, '' order by s.clause) into v_settings
  from unnest(v_together) e
  cross join lateral rowferry._entity_columns(e) c
  cross join lateral (values
    ('date|timestamp%', E'\nset datestyle = ''ISO, YMD'''),
    ('timestamp with%', E'\nset timezone = ''UTC'''),
    ('bytea', E'\nset bytea_output = ''hex''')) s (types, clause)
  where (c.key_position is not null or c.local = any (e.within_columns) and rowferry._place_sql(e, null) is not null)
    and c.type similar to s.types;
  -- What a literal or a function of a filter may depend on.
  v_settings := concat(v_settings, (
    select string_agg(distinct s.clause, '' order by s.clause)
    from unnest(v_together) e
    cross join (values ('', E'\nset search_path = pg_catalog, pg_temp'), ('null', E'\nset array_nulls = on'),
      ('quote_ident', E'\nset quote_all_identifiers = off'), ('money', E'\nset lc_monetary = ''C'''), ('xml', E'\nset xmloption = ''content''')) s (word, clause)
    where strpos(lower(e.filter), s.word) > 0));
  return format($f$create or replace function rowferry.%I()
returns trigger
language plpgsql
security definer%s
as $rowferry$
#variable_conflict use_column
declare
  v_now constant pg_catalog.timestamptz := rowferry._now();  -- one for all rows of a statement
  -- Anyone can turn this setting on, but only the applier has rows in rowferry.applying for its transaction.
  v_applying constant boolean := pg_catalog.current_setting('rowferry.applying', true) operator(pg_catalog.=) 'on';
begin
%s
  return null;
end
$rowferry$$f$,
    rowferry._generated_name('capture_', p_entity.name), v_settings,
    (select string_agg(b, E'\n') from rowferry._capture_blocks(v_together) b));
end
$function$;
comment on function rowferry._capture_sql(rowferry.entities) is
  'DDL of the capture function of a table, which its triggers call: it writes an event for each row that changes, but none for the records that the '
  'applier is just writing (rowferry.applying). p_entity is the entity that has the function: the first of the table that this node sends.';
