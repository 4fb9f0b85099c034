-- A row that has the key and not the image of every old row is the only row of its statement, because no two rows have one key. If it is not the only one, the
-- search ends at the second old row, so this statement costs little for many rows. It needs no hash table and no look at how many rows there are. OFFSET 0
-- keeps the search from becoming a join, which would look so dear in a plan that was made for many rows that JIT compiled it for each row. A deferrable key
-- lets two rows have one key for a while, so a table with such a key does without this statement.
create or replace function rowferry._capture_one_sql(
  p_entity rowferry.entities,
  p_way_out text,
  p_block text,
  p_peers text default null
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_captured constant text[] := rowferry._captured_columns(p_entity);
  v_key constant text[] := array(select c.local from rowferry._entity_columns(p_entity) c where c.key_position is not null);
  v_follows constant text := (select string_agg(quote_ident(w), ', ') from unnest(p_entity.within_columns) w);
  v_next smallint;  -- number of the next column that the table gets; null if not all of its columns are compared
  v_images text[];  -- FROM items with the image of the new row (n) and of the old row (o)
  v_same_key text;
begin
  if not exists (
    select from pg_index i
    where i.indrelid = p_entity.relation and i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null and i.indexprs is null
      and array(select a.attname::text from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])) <@ v_key
      and i.indnkeyatts <= cardinality(v_key)
  ) then
    return '';
  end if;
  -- All columns travel, and none was dropped. This looks at what attach() has registered, so that a column that is added later does not change the text.
  if p_entity.filter is null and v_follows is null and p_entity.outbound is null
    and (select max(n) from unnest(p_entity.column_numbers) n) = cardinality(p_entity.column_numbers)
    and cardinality(v_captured) = cardinality(p_entity.column_numbers) then
    v_next := cardinality(p_entity.column_numbers) + 1;
  end if;
  if v_next is null then
    select array_agg(format($f$
        %1$s
        cross join lateral (select row(%2$s)::pg_catalog.record%3$s from (select %4$s.*) c) %4$s_seen (image%5$s)$f$,
      rowferry._missing_sql(v_captured, a.alias), (select string_agg(quote_ident(c), ', ') from unnest(v_captured) c),
      ', row(' || v_follows || ')::pg_catalog.record', a.alias, case when v_follows is not null then ', place' end) order by a.alias) into v_images
    from (values ('n'), ('o')) a (alias);
  end if;
  -- The record_id has made sure that these columns have their types, in which the same key is the same record_id. A null is never the same.
  select string_agg(format(case when t.typcollation = 0 then 'n.%1$I operator(pg_catalog.=) o.%1$I'
    else 'n.%1$I collate pg_catalog."C" operator(pg_catalog.=) o.%1$I collate pg_catalog."C"' end, c.local), ' and ' order by c.key_position) into v_same_key
  from rowferry._entity_columns(p_entity) c join pg_type t on t.oid = c.type_oid
  where c.key_position is not null;
  return format($f$
  if tg_op operator(pg_catalog.=) 'UPDATE'
    and v_applying is not true%1$s then
    -- One row that keeps its key, as in most updates.
    insert %2$s
    into rowferry.events (changed_at, entity_id, event_type, record_id)
    select v_now, %3$s, 'u', c.record_id
    from (
      select %4$s
      from %5$s n%6$s
      where not exists (
        select
        from old_rows o%7$s%8$s
        where %9$s(%10$s) is not true%11$s
          or %12$s
        offset 0)) c (record_id)%13$s;
    if found then
      exit %14$s;
    end if;
  end if;$f$,
    -- Whole rows are compared, which is faster, as long as the table has no further column; of several, two may have been dropped again.
    E'\n    and coalesce(' || (select string_agg(format('pg_catalog.has_column_privilege(tg_relid, %s::smallint, ''select'')', v_next + i), ', ')
      from generate_series(0, 2) i where v_next is not null) || ') is null', p_way_out,
    case when p_peers is null then p_entity.id::text else 'p.id' end,
    rowferry._record_id_sql(p_entity, 'n', true) || ' collate pg_catalog."C"', rowferry._filtered_sql(p_entity, 'new_rows', true), v_images[1],
    v_images[2],
    case when p_entity.filter is not null
      then format(E'\n        cross join lateral (select %s from (select %s) f) w (is_within)', p_entity.filter, rowferry._pinned_sql(p_entity, 'o', true)) end,
    case when p_entity.filter is not null then 'w.is_within is not true or ' end, v_same_key,
    case when v_follows is not null then ' or n_seen.place operator(pg_catalog.*<>) o_seen.place' end,
    case when v_next is null then 'n_seen.image operator(pg_catalog.*=) o_seen.image' else 'n.* operator(pg_catalog.*=) o.*' end,
    E'\n    cross join ' || p_peers, p_block);
end
$function$;
comment on function rowferry._capture_one_sql(rowferry.entities, text, text, text) is
  'PL/pgSQL that writes the event for an update of one row that keeps its key, its parent and its place within the filter, and leaves p_block. For any other '
  'statement it writes nothing and goes on. It is empty for a table of which two rows may have one key for a while, because its key is deferrable. '
  '_capture_part_sql() explains p_peers.';
