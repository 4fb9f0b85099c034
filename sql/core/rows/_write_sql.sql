-- Parts of the generated functions that write received rows, for an entity whose columns begin behind the first p_offset of $1. o_head: settings, with a place for the search_path,
-- which is o_path where triggers run. PL/pgSQL: o_check stands before any write, o_present before one of rows that may be there, o_after behind; o_in_order updates rows whose unique
-- values change, one by one in their order, and before takes those of the rows away that $3 names under a column. SQL: o_insert is the statement for new rows alone; o_ctes, of which
-- o_names have to be read, update what is there and insert what is not, as parts of one statement, since a foreign key of a table to itself, or of a cycle, is looked at at its end.
-- o_from are the rows, o_count is how many they are. With a handler there are none, and o_call is what takes their place. o_delete and o_within, those of its rows that are in the filter, are for the record_ids p_keys.
-- A row is updated once. What others would notice is set only where it differs: the columns of unique indexes (to set one locks out new children of the row), and those that a
-- trigger of the user's waits for (update of). Parameters go by number: their names may be those of columns.
create or replace function rowferry._write_sql(
  p_entity rowferry.entities,
  p_offset integer default 0,
  p_keys text default '$1',
  out o_head text,
  out o_path text,
  out o_check text,
  out o_present text,
  out o_in_order text,
  out o_insert text,
  out o_ctes text[],
  out o_names text[],
  out o_from text,
  out o_count text,
  out o_call text,
  out o_delete text,
  out o_within text,
  out o_after text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_most_units constant integer := 3;
  v_written constant rowferry.entities := rowferry._written(p_entity);
  v_only constant text := rowferry._only_sql(p_entity);
  v_handler constant text[] := parse_ident(p_entity.on_apply);
  v_inbound constant text[] := parse_ident(p_entity.inbound);
  v_within constant text := rowferry._filter_sql(p_entity, 't');
  v_keys_from constant text := rowferry._keys_sql(p_entity, p_keys);
  v_keys_join text;
  v_name constant text := 'w' || p_offset;
  -- The triggers that wait for a column, by column.
  v_waited constant jsonb := (
    select jsonb_object_agg(w.attname, w.triggers)
    from (
      select a.attname, string_agg(distinct t.tgname, ' ' order by t.tgname) as triggers
      from (select p_entity.relation::oid union select p.relid from pg_partition_tree(p_entity.relation) p) r (relation)
      join pg_trigger t on t.tgrelid = r.relation and not t.tgisinternal
      join pg_attribute a on a.attrelid = t.tgrelid and a.attnum = any (t.tgattr::smallint[])
      group by a.attname
    ) w);
  v_key_join text;
  v_columns text;
  v_selected text;
  v_lossy text;
  v_lossy_from text;
  v_fixed text;
  v_fixed_hint text;
  v_plain_set text;
  v_plain_differs text;
  v_units text[];  -- columns that are set together, and only where one of them differs, as SET lists
  v_mask text;  -- expression: which units of a row differ, as a text of 0 and 1
  v_one_by_one text;
  v_part record;
  v_sent_from text;
  v_sent_keys_from text;
  v_sent_keys text;
  v_values text;
  v_written_keys text;
  v_outside text;
begin
  o_head := E'language plpgsql\nsecurity definer\nset search_path = %s\nset row_security = off\n'
    || E'set datestyle = ''ISO, YMD''\nset intervalstyle = ''postgres''\nset timezone = ''UTC''\nset extra_float_digits = 1\n'
    || E'set bytea_output = ''hex''\nset lc_monetary = ''C''\nset xmloption = ''content''\nset array_nulls = on\nas $rowferry$\n#variable_conflict use_column\n';
  select concat_ws(', ', quote_ident(n.nspname), case when n.nspname <> 'public' then 'public' end, 'pg_temp') into o_path
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_entity.relation;

  with columns as (
    select e.*, format(case when e.typed then 'u.c%s' else 'u.c%s::%s' end, e.place, e.type) as value,
      format('($1[%s])::%s[]', e.place + p_offset, case when e.typed then e.type else 'text' end) as sent,
      case when e.insert_only then null
        -- A key of which one value has two spellings (1.0 and 1.00) takes the one that was sent.
        when e.key_position is not null then case when e.type in ('numeric', 'bpchar') then 'unique' end
        else concat(case when e.in_unique then 'unique' end, v_waited ->> e.local) end as unit
    from rowferry._entity_columns(v_written) e
  ), units as (
    select least(dense_rank() over (order by c.unit collate "C"), c_most_units + (min(c.unit) over () = '')::integer) - (min(c.unit) over () = '')::integer as number, c.*
    from columns c
    where c.unit is not null
  ), sets as (
    select u.number, string_agg(format('%I = %s', u.local, u.value), ', ' order by u.place) as set,
      -- Compared byte by byte, as the column stores it.
      format('row(%s)::record operator(pg_catalog.*<>) row(%s)::record', string_agg(format('t.%I::%s', u.local, u.type), ', ' order by u.place),
        string_agg(format('%s::%s', u.value, u.full_type), ', ' order by u.place)) as differs,
      bool_or(u.in_unique) as is_unique
    from units u
    group by u.number
  )
  select
    -- Unnested in the select list, without a file in between; what the planner cannot see through is parsed once, and not for an estimate too.
    '(select ' || string_agg(format('pg_catalog.unnest(a.c%s) as c%1$s', c.place), ', ' order by c.place) || ' from (select '
      || string_agg(c.sent, ', ' order by c.place) || ' offset 0) a (' || string_agg('c' || c.place, ', ' order by c.place) || ')) u',
    string_agg(format('t.%I operator(pg_catalog.=) %s', c.local, c.value), ' and ' order by c.key_position) filter (where c.key_position is not null),
    format('pg_catalog.cardinality(%s)', min(c.sent) filter (where c.key_position = 1)),
    string_agg(quote_ident(c.local), ', ' order by c.place),
    string_agg(c.value, ', ' order by c.place),
    string_agg(format(case when c.output like E'pg\\_catalog.%' then '%s operator(pg_catalog.<>) %1$s::%s'
      else 'row(%s)::record operator(pg_catalog.*<>) row(%1$s::%s)::record' end, c.value, c.full_type), ' or ' order by c.place) filter (where c.lossy),
    '(select ' || string_agg(format('pg_catalog.unnest(%s) as c%s', c.sent, c.place), ', ' order by c.place) filter (where c.lossy) || ') u',
    string_agg(format('%s is null or t.%I operator(pg_catalog.<>) %1$s', c.value, c.local), ' or ' order by c.place) filter (where c.insert_only and c.key_position is null),
    format('%s select rowferry.attach(%L);  -- on both nodes; then here: select rowferry.retry(id);',
      string_agg(format('alter table %s alter column %I set generated by default;', p_entity.relation, c.local), ' ' order by c.place)
        filter (where c.insert_only and c.key_position is null), p_entity.relation::text),
    (select s.set from sets s where s.number = 0),
    (select s.differs from sets s where s.number = 0),
    (select array_agg(s.set order by s.number) from sets s where s.number > 0),
    (select format('pg_catalog.concat(%s)', string_agg(format('case when %s then 1 else 0 end', s.differs), ', ' order by s.number)) from sets s where s.number > 0),
    (select format('update %s t set %s where ', v_only, string_agg(s.set, ', ' order by s.number)) from sets s) || string_agg(format('t.%I operator(pg_catalog.=) %s', c.local, c.value), ' and ')
      filter (where c.key_position is not null) || (select ' and (' || string_agg(s.differs, ' or ' order by s.number) || ')' from sets s where s.is_unique)
  into o_from, v_key_join, o_count, v_columns, v_selected, v_lossy, v_lossy_from, v_fixed, v_fixed_hint, v_plain_set, v_plain_differs, v_units, v_mask,
    v_one_by_one
  from columns c;

  -- Before and after: neither a row that is not kept in sync is overwritten, nor does one become such a row. Without users' schemas in the path, whose operators might be
  -- taken for those of the filter.
  v_outside := case when v_within is null then '' else format($f$  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  if exists (select from %s t join %s on %s where not %s) then
    raise exception using errcode = '23514', message = 'the row is outside of the filter of the other node',
      hint = %L;
  end if;
  perform pg_catalog.set_config('search_path', %L, true);
$f$, v_only, o_from, v_key_join, v_within, rowferry._outside_hint(p_entity), o_path) end;

  select string_agg(format('t.%I operator(pg_catalog.=) k.k%s', c.local, c.key_position), ' and ' order by c.key_position) into v_keys_join
  from rowferry._entity_columns(p_entity) c
  where c.key_position is not null;
  -- A key of one column is found in one scan of its index. Planned each time, since the table may have been small the last time; but without a look at each value.
  o_delete := 'delete from ' || coalesce((
      select format('%s t where t.%I operator(pg_catalog.=) any (array(select pg_catalog.unnest(%s::%s[])))', v_only, c.local, p_keys, c.type)
      from rowferry._entity_columns(p_entity) c
      where c.key_position is not null and cardinality(p_entity.key_columns) = 1),
    format('%s t using %s where %s', v_only, v_keys_from, v_keys_join));
  -- What is outside of the filter stays, and what is within can leave it no more.
  if v_within is not null then
    o_within := format('select array(select %s from %s t join %s on %s where %s for update of t)', rowferry._record_id_sql(p_entity, 't'), v_only, v_keys_from, v_keys_join, v_within);
  end if;

  o_check := rowferry._definer_check_sql(p_entity) || rowferry._users_check_sql(p_entity, coalesce(p_entity.inbound, p_entity.on_apply));
  if v_inbound is not null then
    select format('(select %s) u', string_agg(format('pg_catalog.unnest(($1[%s])::%s[]) as c%1$s', c.place, case when c.typed then c.type else 'text' end), ', ' order by c.place)),
      format('(select %s) u', string_agg(format('pg_catalog.unnest((v_sent[%s])::%s[]) as c%1$s', c.place, c.type), ', ' order by c.place) filter (where c.key_position is not null)),
      string_agg('u.c' || c.place, ', ' order by c.key_position) filter (where c.key_position is not null)
    into v_sent_from, v_sent_keys_from, v_sent_keys
    from rowferry._entity_columns(p_entity) c;
    select string_agg(case when c.typed then format('pg_catalog.array_agg(i.%I)::text', c.local)
        else format('pg_catalog.array_agg(pg_catalog.textin(%s(i.%I)))::text', c.output, c.local) end, E',\n    ' order by c.place),
      string_agg('u.c' || c.place, ', ' order by c.key_position) filter (where c.key_position is not null)
    into v_values, v_written_keys
    from rowferry._entity_columns(v_written) c;
    -- What arrived becomes what is written; a record that the function leaves out would be taken for one that was deleted here.
    o_check := o_check || format($f$  v_sent := $1;
  execute %3$s
  into $1 using $1;
  if array(select row(%1$s) from %2$s order by 1) operator(pg_catalog.<>) array(select row(%4$s) from %5$s order by 1) then
    raise exception using errcode = 'RF029', message = 'the inbound function on the other node has left a record out, or made another of it',
      hint = %6$L;
  end if;
$f$, v_sent_keys, v_sent_keys_from,
      rowferry._rows_of_sql(p_entity, format(E'select array[\n    %s]\n  from %I.%I(array(select ', v_values, v_inbound[1], v_inbound[2]), format(' from %s)) i', v_sent_from)),
      v_written_keys, o_from, format('There %s must return each record once, under its key.', p_entity.inbound));
  end if;
  if v_lossy is not null then
    o_check := o_check || format($f$  if exists (select from %s where %s) then
    raise exception using errcode = '22003', message = 'a value does not fit its column on the other node without loss',
      hint = %L;
  end if;
$f$, v_lossy_from, v_lossy, format('alter table .. alter .. type ..; select rowferry.attach(%L);  -- on %s, with the type that the column has here; then here: select rowferry.retry(id);', p_entity.relation::text, (select n.name from rowferry.node n)));
  end if;

  o_present := v_outside;
  -- Looked at again after the write: whoever gave the name to another table meanwhile has all of it undone.
  o_after := v_outside || rowferry._means_sql('table', p_entity.relation::text, p_entity.relation::oid::text);

  if v_handler is not null then
    -- A row that the function leaves out would be taken for one that was deleted here, and go on the peer.
    o_call := format($f$  execute %s
  using $1;
  if exists (select from %s where not exists (select from %s t where %s)) then
    raise exception using errcode = 'RF029', message = 'the function that applies rows on the other node has left one out',
      hint = %L;
  end if;
$f$, rowferry._rows_of_sql(p_entity, format('select %I.%I(array(select ', v_handler[1], v_handler[2]), format(' from %s))', o_from)),
      o_from, v_only, v_key_join, format('There %s must leave a row of %s for each that it was given.', p_entity.on_apply, p_entity.relation));
    return;
  end if;

  if v_fixed is not null then
    -- No update can set what is always generated.
    o_present := o_present || format($f$  if exists (select from %s t join %s on %s where %s) then
    raise exception using errcode = '428C9', message = 'a column that is always generated as identity on the other node cannot be updated there',
      hint = %L;
  end if;
$f$, v_only, o_from, v_key_join, v_fixed, v_fixed_hint);
  end if;
  if v_one_by_one is not null then
    -- Over an index also where the table was small when this was planned.
    o_in_order := format($f$  if $3 is not null then
%1$s    v_seqscan := pg_catalog.current_setting('enable_seqscan');
    perform pg_catalog.set_config('enable_seqscan', 'off', true);
    for u in select u.* from %2$s loop
      %3$s;
    end loop;
    perform pg_catalog.set_config('enable_seqscan', v_seqscan, true);
  end if;
$f$, (select string_agg(format($f$    if $3 operator(pg_catalog.?) %1$L then
      execute %2$L using array(select pg_catalog.jsonb_array_elements_text($3 operator(pg_catalog.->) %1$L));
    end if;
$f$, a.local, format('update %s t set %I = null from %s where %s', v_only, a.local, rowferry._keys_sql(p_entity, '$1'), v_keys_join)), '')
      from (select distinct s.local from rowferry._aside_columns(p_entity) s) a), o_from, v_one_by_one);
  end if;
  o_insert := format('insert into %s (%s) overriding system value select %s from %s', p_entity.relation, v_columns, v_selected, o_from);
  if v_units is not null then
    -- Which units differ in any row: an update for the others need not look at the rows.
    o_ctes := array[format('%s as materialized (select distinct %s from %s join %s t on %s)', v_name, v_mask, o_from, v_only, v_key_join)];
  end if;
  -- One update for each subset of the units, of which few occur; for none, where anything else differs.
  for v_part in
    select m.mask, array_to_string(array(
      select u.set from unnest(v_units) with ordinality u (set, number) where substr(m.mask, u.number::integer, 1) = '1' order by u.number), ', ') as set
    from (select right((g::bit(32))::text, coalesce(cardinality(v_units), 0)) from generate_series(0, (1 << coalesce(cardinality(v_units), 0)) - 1) g) m (mask)
    order by m.mask
  loop
    continue when v_part.set = '' and v_plain_set is null;
    o_names := o_names || format('%s_%s', v_name, 1 + coalesce(cardinality(o_names), 0));
    o_ctes := o_ctes || format('%s as (update %s t set %s from %s where %s returning 1)', o_names[cardinality(o_names)], v_only, concat_ws(', ', v_plain_set, nullif(v_part.set, '')), o_from,
      concat_ws(' and ', v_key_join,
        case when v_units is not null then format('%L operator(pg_catalog.=) any (array(select m from %s w (m))) and %s operator(pg_catalog.=) %1$L', v_part.mask, v_name, v_mask) end,
        case when v_part.set = '' then v_plain_differs end));
  end loop;
  -- Where all were there and have changed, as mostly, no key is looked for again; each by itself (offset 0), by the index, whatever the statistics say.
  o_ctes := o_ctes || format('%s_0 as (%s where %s operator(pg_catalog.<) %s and not exists (select from %s t where %s offset 0) returning 1)', v_name, o_insert,
    coalesce((select string_agg(format('(select count(*) from %s)', n), ' operator(pg_catalog.+) ') from unnest(o_names) n), '0'), o_count, v_only, v_key_join);
  o_names := o_names || format('%s_0', v_name);
end
$function$;
comment on function rowferry._write_sql(rowferry.entities, integer, text) is 'Parts of the generated functions that write an entity''s rows.';
