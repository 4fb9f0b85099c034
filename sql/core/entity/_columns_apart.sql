create or replace function rowferry._columns_apart(
  p_entity rowferry.entities,
  out o_problem text,
  out o_fix text
)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
declare
  v_types text[];
  v_shape regclass;
  v_kept jsonb;
  v_lost boolean;
  v_next text;
begin
  if p_entity.column_digest = rowferry._column_digest(p_entity.relation) then
    return;
  end if;
  v_types := rowferry._column_types(p_entity);
  if v_types is not distinct from p_entity.column_types then
    return;
  end if;
  v_shape := rowferry._travelling_relation(p_entity);
  select string_agg(case
      when c.state = 'type' then format('its column %I was of type %s and is of type %s', c.local, c.type, c.type_now)
      when c.state = 'renamed' then format('its column %I is called %I now', c.local, c.name_now)
      when c.state = 'another' then format('its column %I was dropped, and another one has its name', c.local)
      when c.state = 'gone' and p_entity.outbound is not null then format('column %I is gone from %s', c.local, coalesce(v_shape::text, p_entity.outbound))
      when c.state = 'gone' then format('its column %I was dropped', c.local) end, ', ' order by c.ord)
    -- Capture cannot go on without a column of the key, nor without any column of a partitioned table. It does not need the view.
    || case when p_entity.direction <> 'receive' and p_entity.outbound is null and (
        coalesce(bool_or(c.state <> 'same' and c.name = any (p_entity.key_columns)), false) or (select t.relkind = 'p' from pg_class t where t.oid = p_entity.relation)) then ': writes may fail' else ': changes wait' end,
    jsonb_object_agg(c.name, c.name_now) filter (where c.name_now is not null),
    p_entity.columns_given and bool_or(c.state = 'gone'),
    case when bool_or(c.state in ('gone', 'renamed')) then format('the same on %s, once its table is alike', p_entity.peer)
      when bool_or(c.state = 'another')
        then format('then, on the node whose values are to stay, to send them: select * from rowferry.backfill(%L);', p_entity.name)
      else format('if the change of type changed values: select * from rowferry.backfill(%L);', p_entity.name) end
  into o_problem, v_kept, v_lost, v_next
  from (
    select u.*, v_types[u.ord] as type_now, coalesce(b.attname, n.attname)::text as name_now, case
        when v_types[u.ord] = u.type then 'same' when v_types[u.ord] is not null then 'type'
        when b.attname is not null then 'renamed' when n.attname is not null then 'another' else 'gone' end as state
    from unnest(p_entity.columns, p_entity.local_columns, p_entity.column_numbers, p_entity.column_types) with ordinality u (name, local, number, type, ord)
    left join pg_attribute b on b.attrelid = v_shape and b.attnum = u.number and not b.attisdropped
    left join pg_attribute n on n.attrelid = v_shape and n.attname = u.local and n.attnum > 0 and not n.attisdropped
  ) c;
  o_problem := coalesce(o_problem, 'its columns are not those that were attached: changes wait');
  if v_shape is null then
    o_fix := format('select rowferry.attach(%L, %L);  -- once the view %s is made again', p_entity.relation, p_entity.name, p_entity.outbound);
  else
    o_fix := format('select rowferry.attach(%L, %L%s);  -- %s', p_entity.relation, p_entity.name, case when v_lost then format(', %L', v_kept) end, v_next);
  end if;
end
$$;
comment on function rowferry._columns_apart(rowferry.entities) is
  'What happened to an entity''s columns since attach() (dropped, renamed, dropped and added again, of another type), and what to type; null means nothing. '
  'Capture goes on without a column unless it is one of the key or the table is partitioned. The function is VOLATILE for the reason of _column_types().';
