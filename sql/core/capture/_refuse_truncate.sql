-- TRUNCATE fires no row trigger: it would empty this side and not the other. Refused unless the entity was attached with p_truncate => 'propagate'. A partition that has left its attached table is free again.
create or replace function rowferry._refuse_truncate()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity rowferry.entities := (
    select e
    from rowferry.entities e
    where e.relation = tg_relid or e.relation in (select a.relid from pg_partition_ancestors(tg_relid) a)
  );
begin
  if v_entity.truncate_rule = 'propagate' then
    perform rowferry._propagate_truncate(v_entity, tg_relid);
  elsif v_entity.id is not null then
    raise exception using errcode = 'RF005', message = 'a table kept in sync cannot be truncated',
      detail = format('%I.%I is attached to rowferry.', tg_table_schema, tg_table_name),
      hint = format('Use delete, or take the table out of sync first: select rowferry.detach(%L);', v_entity.name);
  end if;
  return null;
end
$$;
comment on function rowferry._refuse_truncate() is 'Refuses TRUNCATE on a table kept in sync, or propagates it.';
