-- The capture function of an entity, as DDL. Statement triggers see their rows as new_rows and old_rows; on a partitioned
-- table row triggers are used, since a statement trigger would miss writes that name a partition.
create or replace function rowferry._capture_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_partitioned boolean := (select relkind = 'p' from pg_class where oid = p_entity.relation);
  v_settings text;
  v_image_new text;
  v_image_old text;
  v_keys_new text;
  v_keys_old text;
  v_join text;
  v_body text;
begin
  select string_agg(distinct s.clause, '' order by s.clause) into v_settings
  from rowferry._entity_columns(p_entity) c
  cross join lateral (values
    ('date|timestamp%', E'\nset datestyle = \'ISO, YMD\''),
    ('timestamp with%', E'\nset timezone = \'UTC\''),
    ('bytea', E'\nset bytea_output = \'hex\'')) s (types, clause)
  where c.key_position is not null and c.type similar to s.types;

  select string_agg('n.' || quote_ident(c.local), ', '), string_agg('o.' || quote_ident(c.local), ', '),
    string_agg(format('n.%I as k%s', c.local, c.key_position), ', ') filter (where c.key_position is not null),
    string_agg(format('o.%I as k%s', c.local, c.key_position), ', ') filter (where c.key_position is not null),
    string_agg(format('n.k%1$s = o.k%1$s', c.key_position), ' and ') filter (where c.key_position is not null)
  into v_image_new, v_image_old, v_keys_new, v_keys_old, v_join
  from rowferry._entity_columns(p_entity) c;

  if v_partitioned then
    v_body := format($f$
  if tg_op <> 'DELETE' then
    v_new := (select %1$s from (select new.*) n);
  end if;
  if tg_op <> 'INSERT' then
    v_old := (select %2$s from (select old.*) o);
  end if;
  insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
  select rowferry._now(), %3$s, v_hops, c.event_type, c.record_id
  from (
    select case when tg_op = 'UPDATE' and v_new = v_old then 'u' else 'i' end::"char", v_new
    where tg_op = 'INSERT' or tg_op = 'UPDATE' and (v_new <> v_old
      or (select row(%4$s)::record *<> row(%5$s)::record from (select new.*) n, (select old.*) o))
    union all
    select 'd'::"char", v_old
    where tg_op = 'DELETE' or tg_op = 'UPDATE' and v_new <> v_old
  ) c (event_type, record_id)
  where v_keys is null or c.record_id not in (select unnest(v_keys));
$f$, rowferry._record_id_sql(p_entity, 'n'), rowferry._record_id_sql(p_entity, 'o'), p_entity.id, v_image_new, v_image_old);
  else
    v_body := format($f$
  if tg_op = 'INSERT' then
    insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
    select rowferry._now(), %3$s, v_hops, 'i', c.record_id
    from (select %1$s from new_rows n) c (record_id)
    where v_keys is null or c.record_id not in (select unnest(v_keys));
  elsif tg_op = 'DELETE' then
    insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
    select rowferry._now(), %3$s, v_hops, 'd', c.record_id
    from (select %2$s from old_rows o) c (record_id)
    where v_keys is null or c.record_id not in (select unnest(v_keys));
  else
    insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
    select rowferry._now(), %3$s, v_hops,
      case when n.record_id is null then 'd' when o.record_id is null then 'i' else 'u' end::"char", coalesce(n.record_id, o.record_id)
    from (select %6$s, %1$s as record_id, row(%4$s)::record as image from new_rows n) n
    full join (select %8$s, %2$s as record_id, row(%5$s)::record as image from old_rows o) o on %7$s
    where (n.record_id is null or o.record_id is null or n.image *<> o.image)
      and (v_keys is null or coalesce(n.record_id, o.record_id) not in (select unnest(v_keys)));
  end if;
$f$, rowferry._record_id_sql(p_entity, 'n'), rowferry._record_id_sql(p_entity, 'o'), p_entity.id, v_image_new, v_image_old,
      v_keys_new, v_join, v_keys_old);
  end if;

  return format($f$create or replace function rowferry.%1$I()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp%2$s
as $rowferry$
declare
  v_hops smallint := 0;
  v_keys text[];%3$s
begin
  -- Anyone can turn this setting on; only the applier has a row in rowferry.applying for its transaction.
  if current_setting('rowferry.applying', true) = 'on' then
    select a.hops, k.keys into v_hops, v_keys
    from rowferry.applying a
    left join rowferry.applying k on k.transaction_id = a.transaction_id and k.entity_id = %4$s
    where a.transaction_id = pg_current_xact_id() and a.entity_id = 0;
    v_hops := coalesce(v_hops, 0);
  end if;
%5$s
  return null;
end
$rowferry$$f$,
    rowferry._object_name('capture_', p_entity.name), coalesce(v_settings, ''),
    case when v_partitioned then E'\n  v_new text;\n  v_old text;' else '' end, p_entity.id, btrim(v_body, E'\n'));
end
$function$;
comment on function rowferry._capture_sql(rowferry.entities) is 'DDL of the function that an entity''s triggers call.';
revoke all on function rowferry._capture_sql(rowferry.entities) from public;
