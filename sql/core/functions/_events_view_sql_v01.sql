-- The view of an entity's events, as DDL: each event with the key in its own types and the present row. Written t.*::table, the row
-- cannot be mistaken for a column called t. Where the table has columns that are not kept in sync, the row is json without them.
create or replace function rowferry._events_view_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_view text := format('rowferry.%I', rowferry._object_name('', p_entity.name, '_events'));
  v_column record;
begin
  return query
  select format($f$create view %1$s as
select e.id as event_id, e.event_type, e.changed_at, e.attempts, e.not_before, e.last_error,
  %2$s, %7$s as present_row
from rowferry.sync_events e
cross join lateral %3$s
left join %4$s t on %5$s
where e.entity operator(pg_catalog.=) %6$L$f$,
    v_view, string_agg(format('k.k%s as %I', c.key_position, rowferry._object_name('key_', c.name)), ', ' order by c.key_position),
    rowferry._keys_sql(p_entity, 'array[e.record_id]'), p_entity.relation,
    string_agg(format('t.%I operator(pg_catalog.=) k.k%s', c.local, c.key_position), ' and ' order by c.key_position), p_entity.name,
    -- Named as text, no column is tied to the view: each can be renamed, dropped or given another type.
    format(case when exists (select from pg_attribute a where a.attrelid = p_entity.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        and a.attname <> all (rowferry._captured_columns(p_entity)))
      then '(select pg_catalog.json_object_agg(j.key, j.value) from pg_catalog.json_each(pg_catalog.row_to_json(t.*::%s)) j where j.key operator(pg_catalog.=) any (%L))'
      else 't.*::%s' end, p_entity.relation, rowferry._captured_columns(p_entity)))
  from rowferry._entity_columns(p_entity) c
  where c.key_position is not null;

  return next format('comment on view %s is %L', v_view,
    format('Pending events of %s, the key in its own types, and the row as it is now.', p_entity.name));
  for v_column in
    select v.name, v.comment
    from (values
      ('event_id', 'Number of the event, id in sync_events.'),
      ('event_type', 'insert, update, delete, backfill, question or answer. What is sent is always the present row.'),
      ('changed_at', 'Clock time of the change.'),
      ('attempts', 'How often the peer refused the row.'),
      ('not_before', 'When a refused or locked row is tried again.'),
      ('last_error', 'Message of the last refusal.'),
      ('present_row', 'The row as it is now; null: it is gone.')
    ) v (name, comment)
    union all
    select rowferry._object_name('key_', k), format('%s of the key.', k) from unnest(p_entity.key_columns) k
  loop
    return next format('comment on column %s.%I is %L', v_view, v_column.name, v_column.comment);
  end loop;
end
$function$;
comment on function rowferry._events_view_sql(rowferry.entities) is 'DDL of the view of an entity''s events.';
revoke all on function rowferry._events_view_sql(rowferry.entities) from public;
