-- The capture function of an entity, as DDL. Statement triggers see their rows as new_rows and old_rows; on a partitioned
-- table row triggers are used, since a statement trigger would miss writes that name a partition. The function has more rights than
-- the table's owner: it calls output functions and compares bytes and text, so that no cast, operator or function of others runs.
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
  v_keys text;
  v_key_count integer;
  v_others text[];
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
    -- By name and not by number, which a partition may have its own of; the type by name where its number is lost in a dump.
    string_agg(format('a.attname = %L and a.atttypid = %s', c.local,
      case when t.oid < 16384 then t.oid::text
        else format('(select t.oid from pg_type t join pg_namespace s on s.oid = t.typnamespace where t.typname = %L and s.nspname = %L)',
          t.typname, s.nspname) end), ' or ')
      filter (where c.key_position is not null),
    count(c.key_position), array_agg(c.local) filter (where c.key_position is null)
  into v_image_new, v_image_old, v_keys, v_key_count, v_others
  from rowferry._entity_columns(p_entity) c
  join pg_attribute a on a.attrelid = p_entity.relation and a.attname = c.local
  join pg_type t on t.oid = a.atttypid
  join pg_namespace s on s.oid = t.typnamespace;

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
    from (select %1$s as record_id, row(%4$s)::record as image from new_rows n) n
    full join (select %2$s as record_id, row(%5$s)::record as image from old_rows o) o on n.record_id = o.record_id
    where (n.record_id is null or o.record_id is null or n.image *<> o.image)
      and (v_keys is null or coalesce(n.record_id, o.record_id) not in (select unnest(v_keys)));
  end if;
$f$, rowferry._record_id_sql(p_entity, 'n'), rowferry._record_id_sql(p_entity, 'o'), p_entity.id, v_image_new, v_image_old);
  end if;

  return format($f$create or replace function rowferry.%1$I()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp%2$s
as $rowferry$
declare
  v_hops smallint := 0;
  v_keys text[];
  v_everything boolean;
  v_columns integer;%3$s
begin
  -- An insert or delete needs no more than the key; what else is missing, reading the row will tell.
  if tg_op <> 'UPDATE' then
    v_columns := (select count(*) from pg_attribute a where a.attrelid = tg_relid and a.attnum > 0 and (%6$s)) + %8$s;
  else
    v_columns := (select count(*) from pg_attribute a where a.attrelid = tg_relid and a.attnum > 0 and (%6$s or a.attname = any (%10$L::name[])));
  end if;
  if v_columns <> %7$s + %8$s then
    raise exception using errcode = 'RF010',
      message = case when (select count(*) from pg_attribute a where a.attrelid = tg_relid and a.attnum > 0 and (%6$s)) <> %7$s
        then 'a key column of a table kept in sync was altered' else 'a column of a table kept in sync was renamed or dropped' end,
      detail = format('%%s is kept in sync as %%s.', tg_relid::regclass, %9$L),
      hint = %11$L;
  end if;
  -- Anyone can turn this setting on; only the applier has a row in rowferry.applying for its transaction.
  if current_setting('rowferry.applying', true) = 'on' then
    select a.hops, k.keys, k.entity_id is not null and k.keys is null into v_hops, v_keys, v_everything
    from rowferry.applying a
    left join rowferry.applying k on k.transaction_id = a.transaction_id and k.entity_id = %4$s
    where a.transaction_id = pg_current_xact_id() and a.entity_id = 0;
    if v_everything then
      return null;
    end if;
    v_hops := coalesce(v_hops, 0);
  end if;
%5$s
  return null;
end
$rowferry$$f$,
    rowferry._object_name('capture_', p_entity.name), coalesce(v_settings, ''),
    case when v_partitioned then E'\n  v_new text;\n  v_old text;' else '' end, p_entity.id, btrim(v_body, E'\n'),
    v_keys, v_key_count, coalesce(cardinality(v_others), 0), p_entity.name, coalesce(v_others, '{}'),
    format('Give it the name and the type that it had, or: select rowferry.detach(%L); and attach the table again.', p_entity.name));
end
$function$;
comment on function rowferry._capture_sql(rowferry.entities) is 'DDL of the function that an entity''s triggers call.';
revoke all on function rowferry._capture_sql(rowferry.entities) from public;
