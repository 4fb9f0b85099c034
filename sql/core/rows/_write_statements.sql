create or replace function rowferry._write_statements(
  p_entity rowferry.entities,
  p_offset integer default 0,
  out o_insert text,
  out o_ctes text[],
  out o_names text[],
  out o_count text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_name constant text := 'w' || p_offset;
  v_written constant rowferry.entities := rowferry._written(p_entity);
  v_only constant text := rowferry._only_sql(p_entity);
  v_from constant text := rowferry._received_sql(v_written, p_offset => p_offset);
  v_join constant text := rowferry._key_join_sql(v_written, p_received => true);
  v_units text[];
  v_mask text;  -- expression: which units of a row differ, as a text of 0 and 1
  v_others text;
  v_others_differ text;
  v_part record;
begin
  select format('insert into %s (%s) overriding system value select %s from %s', p_entity.relation, string_agg(quote_ident(c.local), ', ' order by c.place),
    string_agg(c.value, ', ' order by c.place), v_from),
    min(format('pg_catalog.cardinality(($1[%s])::%s[])', c.place + p_offset, c.sent)) filter (where c.key_position = 1)
  into o_insert, o_count
  from rowferry._column_parts(v_written) c;
  select min(u.assignments) filter (where u.number = 0), min(u.differs) filter (where u.number = 0),
    array_agg(u.assignments order by u.number) filter (where u.number > 0),
    format('pg_catalog.concat(%s)', string_agg(format('case when %s then 1 else 0 end', u.differs), ', ' order by u.number) filter (where u.number > 0))
  into v_others, v_others_differ, v_units, v_mask
  from rowferry._update_units(p_entity) u;
  if v_units is not null then
    -- Which combinations of units differ at all; the update for any other combination need not look at the rows.
    o_ctes := array[format('%s as materialized (select distinct %s from %s join %s t on %s)', v_name, v_mask, v_from, v_only, v_join)];
  end if;
  -- An update for each combination of units, of which few occur. The one in which no unit differs is for rows in which another column differs.
  for v_part in
    select m.mask, coalesce((
        select string_agg(u.assignments, ', ' order by u.number)
        from unnest(v_units) with ordinality u (assignments, number)
        where substr(m.mask, u.number::integer, 1) = '1'), '') as assignments
    from (select right((g::bit(32))::text, coalesce(cardinality(v_units), 0)) from generate_series(0, (1 << coalesce(cardinality(v_units), 0)) - 1) g) m (mask)
    order by m.mask
  loop
    continue when v_part.assignments = '' and v_others is null;
    o_names := o_names || format('%s_%s', v_name, 1 + coalesce(cardinality(o_names), 0));
    o_ctes := o_ctes || format('%s as (update %s t set %s from %s where %s returning 1)', o_names[cardinality(o_names)], v_only,
      concat_ws(', ', v_others, nullif(v_part.assignments, '')), v_from,
      concat_ws(' and ', v_join,
        case when v_units is not null then format('%L operator(pg_catalog.=) any (array(select m from %s w (m))) and %s operator(pg_catalog.=) %1$L',
          v_part.mask, v_name, v_mask) end,
        case when v_part.assignments = '' then v_others_differ end));
  end loop;
  -- Mostly all rows were there and have changed; then no key is looked for a second time. "offset 0": each key is found by itself, by the index, whatever the
  -- statistics say.
  o_ctes := o_ctes || format('%s_0 as (%s where %s operator(pg_catalog.<) %s and not exists (select from %s t where %s offset 0) returning 1)',
    v_name, o_insert, coalesce((select string_agg(format('(select count(*) from %s)', n), ' operator(pg_catalog.+) ') from unnest(o_names) n), '0'),
    o_count, v_only, v_join);
  o_names := o_names || format('%s_0', v_name);
end
$function$;
comment on function rowferry._write_statements(rowferry.entities, integer) is
  'SQL that writes received rows of an entity, whose columns begin behind the first p_offset of $1. o_insert is the statement for rows that are all new. '
  'o_ctes update the rows that exist and insert the others, each row once, as parts of one statement, because PostgreSQL checks a foreign key of a table to '
  'itself, or of a cycle, when the statement ends. o_names has those of the parts that must be read, and o_count says how many rows there are.';
