-- The first table of a link whose changes are not captured, because somebody disabled or dropped a trigger of rowferry's, with the way out; null: none.
create or replace function rowferry._uncaptured(
  p_peer text
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('changes of %s are not captured, its trigger %s %s', e.relation, w.name,
      case when t.oid is null then 'is gone: select * from rowferry.check() says how to make it again, and how to send what was missed'
        else format('is disabled: alter table %s enable always trigger %s; then select rowferry.backfill(%L)', e.relation, w.name, e.name) end)
  from rowferry.entities e
  join pg_class c on c.oid = e.relation
  cross join lateral unnest(case c.relkind when 'p' then array['rowferry_capture']
    else array['rowferry_capture_insert', 'rowferry_capture_update', 'rowferry_capture_delete'] end || array['rowferry_truncate']) w (name)
  left join pg_trigger t on t.tgrelid = c.oid and t.tgname = w.name
  where e.peer = p_peer and e.direction <> 'receive' and t.tgenabled is distinct from 'A'
  order by e.id, w.name
  limit 1
$$;
comment on function rowferry._uncaptured(text) is 'A table whose changes are not captured any more, with the way out.';
revoke all on function rowferry._uncaptured(text) from public;
