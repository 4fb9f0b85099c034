create or replace function rowferry._attach_call(
  p_entity rowferry.entities,
  p_table regclass
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return format('select rowferry.attach(%L, %L%s);', p_table, p_entity.name, (
      select string_agg(format(', %s => %L', o.name, o.value), '' order by o.ord)
      from (values
        (1, 'p_columns', case when p_entity.columns_given then (
          select jsonb_object_agg(c.name, c.local)::text from unnest(p_entity.columns, p_entity.local_columns) c (name, local)) end, null),
        (2, 'p_key', p_entity.key_columns::text, (
          select array_agg(c.name order by c.name collate "C")::text
          from pg_index i
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
          left join unnest(p_entity.columns, p_entity.local_columns) c (name, local) on c.local = a.attname
          where i.indrelid = p_table and i.indisprimary)),
        (3, 'p_peer', p_entity.peer, (select p_entity.peer from rowferry.links having count(*) = 1)),
        (4, 'p_conflict_rule', p_entity.conflict_rule, 'newest'),
        (5, 'p_orphan_rule', p_entity.orphan_rule, 'hold'),
        (6, 'p_truncate', p_entity.truncate_rule, 'refuse'),
        (7, 'p_direction', p_entity.direction, 'both'),
        (8, 'p_filter', p_entity.filter, null),
        (9, 'p_filter_left', p_entity.filter_left, 'delete'),
        (10, 'p_outbound', p_entity.outbound, null),
        (11, 'p_inbound', p_entity.inbound, null),
        (12, 'p_on_apply', p_entity.on_apply, null),
        (13, 'p_triggers', p_entity.trigger_rule, 'guard'),
        (14, 'p_within', coalesce(
          -- If several foreign keys refer to the parent, the name of one says which.
          (
            select min(f.name) filter (where f.columns = p_entity.within_columns)
            from rowferry._foreign_keys f
            where f.relation = p_entity.relation and f.parent = p_entity.within having count(*) > 1),
          p_entity.within), null)) o (ord, name, value, usual)
      where o.value is distinct from o.usual))
    || case when (p_entity.breaker_share, p_entity.breaker_rows) is distinct from (0.5::real, 100)
      then format(' select * from rowferry.set_breaker(%L, %L, %s);', p_entity.name, p_entity.breaker_share, p_entity.breaker_rows) else '' end;
end
$$;
comment on function rowferry._attach_call(rowferry.entities, regclass) is
  'The call of attach() that attaches another table with the options of an entity, and the call of set_breaker() that detach() makes necessary.';
