-- All that attach() runs to change an attached table in place, in order; nothing where nothing differs. Events stay: they hold keys only. The caller holds the link's lock, so that no exchange
-- reads by the old functions what it sends as the new ones have it, and the table's, so that no write goes by unseen.
create or replace function rowferry._change_sql(
  p_old rowferry.entities,
  p_new rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_values text := (
    select string_agg(format('%I = %L', n.name, n.value), ', ' order by n.place)
    from rowferry._entity_values(p_new) n
    join rowferry._entity_values(p_old) o using (name)
    where n.value is distinct from o.value and n.name <> 'version');
  v_drops text[] := array(
    select d.ddl
    from (
      select 1 as ord, t.ddl from rowferry._drop_triggers_sql(p_old) t (ddl) where p_old.direction <> 'receive' and p_new.direction = 'receive'
      union all
      select 2, format('drop function if exists rowferry.%s', o.signature)
      from rowferry._entity_functions(p_old) o
      where not exists (select from rowferry._entity_functions(p_new) n where n.signature = o.signature)
    ) d
    order by d.ord);
  v_functions text[] := array(select rowferry._refresh_sql(p_new));
  v_triggers text[] := array(select rowferry._triggers_sql(p_new, p_guard_only => p_old.direction <> 'receive'));
begin
  if v_values is not null then
    return next format('select setval(''rowferry.entity_ids'', %s)', p_new.version);
    return next format('update rowferry.entities set %s, version = %s where id = %s', v_values, p_new.version, p_new.id);
  end if;
  if (p_old.within, p_old.within_columns) is distinct from (p_new.within, p_new.within_columns) then
    -- They name records of the old parent.
    return next format('update rowferry.events set place = null where entity_id = %s and place is not null', p_new.id);
  end if;
  return query select unnest(v_drops || v_functions || v_triggers);
end
$$;
comment on function rowferry._change_sql(rowferry.entities, rowferry.entities) is 'All statements that attach() runs to change an attached table, in order.';
