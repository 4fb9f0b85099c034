-- The capture function of an entity, as DDL. Statement triggers see their rows as new_rows and old_rows; on a partitioned
-- table row triggers are used, since a statement trigger would miss writes that name a partition. The function has more rights than
-- the table's owner: it calls output functions and compares bytes and text, so that no cast, operator or function of others runs.
-- It is part of every statement of the users: no look at the catalog, which static SQL makes needless, and no SET, hence each name qualified.
-- A filter sees its columns in the types that it was proved with. It is not so spelled, and is looked at in old and new rows: one that enters it or leaves it comes or goes.
-- Where a column was dropped or renamed since, users' statements go on: its name, not qualified, is then found in the query around (missing), as the row as a whole, so that any change of the row
-- counts. It costs nothing while the column is there; the entity is held meanwhile. A row trigger sees fields of a record, where this is no way: there, and with the columns of the key and of the
-- filter, writes fail until attach() is called again.
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
  -- What fails once the table was altered shows this in the error's QUERY or CONTEXT.
  v_way_out constant text := format('/* %s */', replace(replace(
    format('%s was altered? Change it back, or select rowferry.attach(%L, %1$L);', p_entity.name, p_entity.relation), '*/', '* /'), '/*', '/ *'));
  v_new constant text := rowferry._record_id_sql(p_entity, case when v_partitioned then 'new' else 'r' end, true) || ' collate pg_catalog."C"';
  v_old constant text := rowferry._record_id_sql(p_entity, case when v_partitioned then 'old' else 'r' end, true) || ' collate pg_catalog."C"';
  v_image text;
  v_rows text;
  v_settings text;
  v_body text;
  v_changed constant text := case when p_entity.within is null then '''u''' else $c$case when n.place operator(pg_catalog.*<>) o.place then 'w'::pg_catalog."char" else 'u' end$c$ end;
  v_new_rows constant text := rowferry._filtered_sql(p_entity, 'new_rows', true);
  v_old_rows constant text := rowferry._filtered_sql(p_entity, 'old_rows', true);
  v_new_within constant text := rowferry._filter_sql(p_entity, 'new', true);
  v_old_within constant text := rowferry._filter_sql(p_entity, 'old', true);
  -- What follows a row of this table is looked at once it enters or leaves the filter, and what follows a parent once it has another one.
  v_crosses constant boolean := p_entity.filter is not null and rowferry._is_followed(p_entity);
  v_place constant text := (select string_agg('%1$s.' || replace(quote_ident(c), '%', '%%'), ', ') from unnest(p_entity.within_columns) c);
  v_old_place constant text := case when p_entity.within is not null then rowferry._place_sql(p_entity, case when v_partitioned then 'old' end) end;
  v_old_parent constant text := case when v_old_place is not null then 'case when n.place operator(pg_catalog.*<>) o.place then o.parent end' end;
  v_columns text;
begin
  select string_agg(distinct s.clause, '' order by s.clause) into v_settings
  from rowferry._entity_columns(p_entity) c
  cross join lateral (values
    ('date|timestamp%', E'\nset datestyle = ''ISO, YMD'''),
    ('timestamp with%', E'\nset timezone = ''UTC'''),
    ('bytea', E'\nset bytea_output = ''hex''')) s (types, clause)
  where (c.key_position is not null or v_old_place is not null and c.local = any (p_entity.within_columns)) and c.type similar to s.types;
  if p_entity.filter is not null then
    -- What a literal or a function of the filter may depend on.
    v_settings := concat(v_settings, E'\nset search_path = pg_catalog, pg_temp', (
      select string_agg(s.clause, '' order by s.clause)
      from (values ('null', E'\nset array_nulls = on'), ('quote_ident', E'\nset quote_all_identifiers = off'), ('money', E'\nset lc_monetary = ''C'''),
        ('xml', E'\nset xmloption = ''content''')) s (word, clause)
      where strpos(lower(p_entity.filter), s.word) > 0));
  end if;

  if v_partitioned then
    select string_agg('%1$s.' || replace(quote_ident(c), '%', '%%'), ', ') into v_image from unnest(rowferry._captured_columns(p_entity)) c;
  else
    v_columns := concat('image', case when v_place is not null then ', place' end, case when v_old_place is not null then ', parent' end);
    select format($f$(
        select %%s, i.*
        from %%s r
        cross join lateral (select %s) missing
        cross join lateral (select row(%s)::pg_catalog.record%s from (select r.*) c) i (%s)) %%s (record_id, %4$s)$f$,
      string_agg('row(r.*) as ' || replace(quote_ident(c), '%', '%%'), ', '), string_agg(replace(quote_ident(c), '%', '%%'), ', '),
      concat(', row(' || (select string_agg(replace(quote_ident(w), '%', '%%'), ', ') from unnest(p_entity.within_columns) w) || ')::pg_catalog.record', ', ' || replace(v_old_place, '%', '%%')), v_columns)
    into v_rows
    from unnest(rowferry._captured_columns(p_entity)) c;
  end if;

  if v_partitioned then
    -- A session that has called it goes by the types that it met first, until the function is made again: so they are in it.
    v_body := format($f$
  -- %13$s
  if tg_op operator(pg_catalog.=) 'INSERT' then
    insert %6$s
    into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
    select v_now, %3$s, v_hops, 'i', c.record_id
    from (select %1$s) c (record_id)
    where %7$s(v_keys is null or c.record_id operator(pg_catalog.<>) all (v_keys));
  elsif tg_op operator(pg_catalog.=) 'DELETE' then
    insert %6$s
    into rowferry.events (changed_at, entity_id, hops, event_type, record_id%14$s)
    select v_now, %3$s, v_hops, 'd', c.record_id%15$s
    from (select %2$s) c (record_id)
    where %8$s(v_keys is null or c.record_id operator(pg_catalog.<>) all (v_keys));
  else
    insert %6$s
    into rowferry.events (changed_at, entity_id, hops, event_type, record_id%14$s)
    select v_now, %3$s, v_hops, case %9$swhen c.record_id operator(pg_catalog.=) c.old_id then 'u'::pg_catalog."char" else 'i' end, c.record_id%16$s
    from (select %1$s, %2$s%10$s
    where %11$s(c.record_id operator(pg_catalog.<>) c.old_id
        or row(%4$s)::pg_catalog.record operator(pg_catalog.*<>) row(%5$s)::pg_catalog.record%12$s)
      and (v_keys is null or c.record_id operator(pg_catalog.<>) all (v_keys));
    if (%1$s) operator(pg_catalog.<>) (%2$s) then
      insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id%14$s)
      select v_now, %3$s, v_hops, 'd', c.record_id%15$s
      from (select %2$s) c (record_id)
      where %8$s(v_keys is null or c.record_id operator(pg_catalog.<>) all (v_keys));
    end if;
  end if;
$f$, v_new, v_old, p_entity.id, format(v_image, 'new'), format(v_image, 'old'), v_way_out, v_new_within || ' and ', v_old_within || ' and ',
      -- A row that enters or leaves the filter is one that comes or goes.
      concat(case when v_crosses then 'when c.is_within <> c.was_within then ''w'' '
          when p_entity.filter is not null then 'when not c.is_within then ''d'' when not c.was_within then ''i'' ' end,
        format('when c.record_id operator(pg_catalog.=) c.old_id and row(' || v_place || ')::pg_catalog.record operator(pg_catalog.*<>) ', 'new')
          || format('row(' || v_place || ')::pg_catalog.record then ''w'' ', 'old')),
      coalesce(', ' || v_new_within || ', ' || v_old_within || ') c (record_id, old_id, is_within, was_within)', ') c (record_id, old_id)'),
      case when p_entity.filter is not null then '(c.is_within or c.was_within and c.record_id operator(pg_catalog.=) c.old_id) and ' end,
      case when p_entity.filter is not null then ' or c.is_within <> c.was_within' end,
      translate((select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum) from pg_attribute a
        where a.attrelid = p_entity.relation and a.attname = any (rowferry._captured_columns(p_entity))), E'\r\n$', '  '),
      case when v_old_place is not null then ', place' end,
      ', case when v_hops operator(pg_catalog.=) 0 then ' || v_old_place || ' end',
      -- Of an event that is none of a row that left or moved it says nothing.
      E',\n      case when v_hops operator(pg_catalog.=) 0 and c.record_id operator(pg_catalog.=) c.old_id then '
        || case when p_entity.filter is not null then 'case when not c.was_within then array[]::pg_catalog.text[] else ' || v_old_place || ' end' else v_old_place end || ' end');
  else
    v_body := format($f$
  if tg_op operator(pg_catalog.=) 'INSERT' then
%1$s  elsif tg_op operator(pg_catalog.=) 'DELETE' then
%2$s  else
%3$s  end if;
$f$,
      rowferry._capture_part_sql(v_way_out, p_entity.id, $c$'i'$c$, 'c.record_id', format('(select %s from %s r) c (record_id)', v_new, v_new_rows)),
      rowferry._capture_part_sql(v_way_out, p_entity.id, $c$'d'$c$, 'c.record_id', case when v_old_place is null then format('(select %s from %s r) c (record_id)', v_old, v_old_rows)
        else format($f$(
        select %s, i.parent
        from %s r
        cross join lateral (select %s) missing
        cross join lateral (select %s from (select r.*) c) i (parent)) c (record_id, parent)$f$, v_old, v_old_rows,
          (select string_agg('row(r.*) as ' || quote_ident(w), ', ') from unnest(p_entity.within_columns) w), v_old_place) end, p_place => case when v_old_place is not null then 'c.parent' end),
      rowferry._capture_part_sql(v_way_out, p_entity.id,
        format($c$case when n.record_id is null then '%s'::pg_catalog."char" when o.record_id is null then '%s' else %s end$c$,
          case when v_crosses then 'w' else 'd' end, case when v_crosses then 'w' else 'i' end, v_changed),
        'coalesce(n.record_id, o.record_id)',
        format(E'%s\n      full join %s\n        on n.record_id operator(pg_catalog.=) o.record_id', format(v_rows, v_new, v_new_rows, 'n'), format(v_rows, v_old, v_old_rows, 'o')),
        'n.record_id is null or o.record_id is null or n.image operator(pg_catalog.*<>) o.image',
        format($f$%s, n.record_id%s
      from %s
      cross join %s
      where not exists (select from new_rows offset 1)
        and n.record_id operator(pg_catalog.=) o.record_id
        and n.image operator(pg_catalog.*<>) o.image$f$, v_changed, ', ' || v_old_parent, format(v_rows, v_new, v_new_rows, 'n'), format(v_rows, v_old, v_old_rows, 'o')),
        case when v_old_place is not null then format('case when n.record_id is null then o.parent %selse %s end',
          case when v_crosses then 'when o.record_id is null then array[]::pg_catalog.text[] ' end, v_old_parent) end));
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
  v_now constant pg_catalog.timestamptz := rowferry._now();  -- one for all rows of a statement
begin
  -- Anyone can turn this setting on; only the applier has a row in rowferry.applying for its transaction, and keys that need no event, or
  -- null: nothing else can write these tables now.
  if pg_catalog.current_setting('rowferry.applying', true) operator(pg_catalog.=) 'on' then
    select a.hops, coalesce(k.keys, '{}'), k.entity_id is not null and k.keys is null into v_hops, v_keys, v_everything
    from rowferry.applying a
    left join rowferry.applying k on k.transaction_id operator(pg_catalog.=) a.transaction_id and k.entity_id operator(pg_catalog.=) %3$s
    where a.transaction_id operator(pg_catalog.=) pg_catalog.pg_current_xact_id() and a.entity_id operator(pg_catalog.=) 0;
    if v_everything then
      return null;
    end if;
    v_hops := coalesce(v_hops, 0);
  end if;
%4$s
  return null;
end
$rowferry$$f$,
    rowferry._generated_name('capture_', p_entity.name), coalesce(v_settings, ''),
    p_entity.id, btrim(v_body, E'\n'));
end
$function$;
comment on function rowferry._capture_sql(rowferry.entities) is 'DDL of the function that an entity''s triggers call.';
