-- The functions that write an entity's rows, as DDL: apply (upsert), delete, and lock (says which rows a user holds). They belong to the table's owner, so that its triggers run with no more than its rights.
-- A function of the user's may write in place of the upsert. Apply and delete run triggers that may rely on the table's schema and public being in search_path, where others may put functions
-- and operators: hence each of theirs is named with its schema. Parameters go by number: their names may be those of columns.
create or replace function rowferry._apply_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_head text := E'language plpgsql\nsecurity definer\nset search_path = %s\nset row_security = off\n'
    || E'set datestyle = ''ISO, YMD''\nset intervalstyle = ''postgres''\nset timezone = ''UTC''\nset extra_float_digits = 1\n'
    || E'set bytea_output = ''hex''\nset lc_monetary = ''C''\nset xmloption = ''content''\nset array_nulls = on\nas $rowferry$\n#variable_conflict use_column\n';
  v_check text := rowferry._definer_check_sql(p_entity);
  -- Looked at again after the write: whoever gave the name to another table meanwhile has all of it undone.
  v_after constant text := rowferry._means_sql('table', p_entity.relation::text, p_entity.relation::oid::text);
  v_only constant text := rowferry._only_sql(p_entity);
  v_path text;
  v_keys_from text := rowferry._keys_sql(p_entity, '$1');
  v_keys_join text;
  v_from text;
  v_key_join text;
  v_keys text;
  v_set text;
  v_set_sent text;
  v_old text;
  v_new text;
  v_plain_sent text;
  v_moved_set text;
  v_moved_old text;
  v_moved_new text;
  v_lossy text;
  v_lossy_from text;
  v_fixed text;
  v_fixed_hint text;
  v_inserted text;
  v_selected text;
  v_immediate boolean;
  v_write text;
  v_within text := rowferry._filter_sql(p_entity, 't');
  v_pin constant text := E'  perform pg_catalog.set_config(''search_path'', ''pg_catalog, pg_temp'', true);\n';
  v_unpin text;
  v_outside text;
  v_handler constant text[] := parse_ident(p_entity.on_apply);
  v_names constant text[] := parse_ident(p_entity.inbound);
  v_written constant rowferry.entities := rowferry._written(p_entity);
  v_inbound text := '';
  v_sent_from text;
  v_sent_keys_from text;
  v_sent_keys text;
  v_values text;
  v_written_keys text;
begin
  v_path := (select concat_ws(', ', quote_ident(n.nspname), case when n.nspname <> 'public' then 'public' end, 'pg_temp')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_entity.relation);
  select
    -- Unnested in the select list, without a file in between; what the planner cannot see through is parsed once, and not for an estimate too.
    '(select ' || string_agg(format('pg_catalog.unnest(a.c%s) as c%1$s', c.place), ', ' order by c.place) || ' from (select '
      || string_agg(format('($1[%s])::%s[]', c.place, case when c.typed then c.type else 'text' end), ', ' order by c.place)
      || ' offset 0) a (' || string_agg('c' || c.place, ', ' order by c.place) || ')) u',
    string_agg(format('t.%I operator(pg_catalog.=) %s', c.local, c.value), ' and ' order by c.key_position) filter (where c.key_position is not null),
    string_agg(format('t.%I operator(pg_catalog.=) k.k%s', c.local, c.key_position), ' and ' order by c.key_position) filter (where c.key_position is not null),
    string_agg(quote_ident(c.local), ', ' order by c.key_position) filter (where c.key_position is not null),
    string_agg(format('%I = excluded.%1$I', c.local), ', ' order by c.place) filter (where c.plain),
    string_agg(format('%I = %s', c.local, c.value), ', ' order by c.place) filter (where c.plain),
    string_agg(format('t.%I', c.local), ', ' order by c.place) filter (where c.plain),
    string_agg(format('excluded.%I', c.local), ', ' order by c.place) filter (where c.plain),
    string_agg(format('%s::%s', c.value, c.full_type), ', ' order by c.place) filter (where c.plain),
    string_agg(format('%I = %s', c.local, c.value), ', ' order by c.place) filter (where c.moving),
    string_agg(format('t.%I::%s', c.local, c.type), ', ' order by c.place) filter (where c.moving),
    string_agg(format('%s::%s', c.value, c.full_type), ', ' order by c.place) filter (where c.moving),
    string_agg(format(case when c.output like E'pg\\_catalog.%' then '%s operator(pg_catalog.<>) %1$s::%s'
      else 'row(%s)::record operator(pg_catalog.*<>) row(%1$s::%s)::record' end, c.value, c.full_type), ' or ' order by c.place) filter (where c.lossy),
    '(select ' || string_agg(format('pg_catalog.unnest(($1[%s])::%s[]) as c%1$s', c.place, case when c.typed then c.type else 'text' end), ', '
      order by c.place) filter (where c.lossy) || ') u',
    string_agg(format('%s is null or t.%I operator(pg_catalog.<>) %1$s', c.value, c.local), ' or ' order by c.place) filter (where c.insert_only and c.key_position is null),
    string_agg(quote_ident(c.local), ', ' order by c.place),
    string_agg(c.value, ', ' order by c.place)
  into v_from, v_key_join, v_keys_join, v_keys, v_set, v_set_sent, v_old, v_new, v_plain_sent,
    v_moved_set, v_moved_old, v_moved_new, v_lossy, v_lossy_from, v_fixed, v_inserted, v_selected
  from (
    select e.*, format(case when e.typed then 'u.c%s' else 'u.c%s::%s' end, e.place, e.type) as value,
      e.key_position is null and not e.in_unique and not e.insert_only as plain,
      not e.insert_only and case when e.key_position is null then e.in_unique else e.type in ('numeric', 'bpchar') end as moving
    from rowferry._entity_columns(v_written) e
  ) c;
  select bool_or(i.indimmediate) into v_immediate
  from pg_index i
  where i.indrelid = p_entity.relation and i.indisunique and i.indpred is null and i.indexprs is null
    and (select array_agg(a.attname::text order by a.attname::text collate "C") from unnest(i.indkey[0:i.indnkeyatts - 1]) k
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k)
      = (select array_agg(c.local order by c.local collate "C") from rowferry._entity_columns(p_entity) c where c.key_position is not null);

  v_unpin := format(E'  perform pg_catalog.set_config(''search_path'', %L, true);\n', v_path);

  -- Before and after: neither a row that is not kept in sync is overwritten, nor does one become such a row. Without users' schemas in the path, whose operators might be
  -- taken for those of the filter.
  v_outside := case when v_within is null then '' else v_pin || format($f$  if exists (select from %s t join %s on %s where not %s) then
    raise exception using errcode = '23514', message = 'the row is outside of the filter of the other node',
      hint = %L;
  end if;
%s$f$, v_only, v_from, v_key_join, v_within, format('There only rows of %s with %s are kept in sync: change the row, here or there, or give the change up: select rowferry.skip(id, reason);',
    p_entity.relation, p_entity.filter), v_unpin) end;

  select format('On both nodes: %s select rowferry.attach(%L); then here: select rowferry.retry(id);',
    string_agg(format('alter table %s alter column %I set generated by default;', p_entity.relation, c.local), ' ' order by c.place), p_entity.relation::text)
  into v_fixed_hint
  from rowferry._entity_columns(v_written) c
  where c.insert_only and c.key_position is null;

  -- A deferrable key cannot arbitrate: update what is there, then insert what is not.
  v_write := case when v_immediate then format($f$
  insert into %1$s as t (%2$s) overriding system value
  select %3$s
  from %4$s
  on conflict (%5$s) do %6$s;
$f$, p_entity.relation, v_inserted, v_selected, v_from, v_keys,
    case when v_set is null then 'nothing'
      else format(E'update set %s\n  where row(%s)::record operator(pg_catalog.*<>) row(%s)::record', v_set, v_old, v_new) end)
  else format($f$%6$s
  insert into %1$s (%2$s) overriding system value
  select %3$s
  from %4$s
  where not exists (select from %7$s t where %5$s);
$f$, p_entity.relation, v_inserted, v_selected, v_from, v_key_join,
    case when v_set is not null then
      format(E'\n  update %s t set %s\n  from %s\n  where %s and row(%s)::record operator(pg_catalog.*<>) row(%s)::record;',
        v_only, v_set_sent, v_from, v_key_join, v_old, v_plain_sent) end, v_only)
  end;

  if v_handler is not null then
    -- A row that the function leaves out would be taken for one that was deleted here, and go on the peer.
    v_write := format($f$
  execute %s
  using $1;
  if exists (select from %s where not exists (select from %s t where %s)) then
    raise exception using errcode = 'RF029', message = 'the function that applies rows on the other node has left one out',
      hint = %L;
  end if;
$f$, rowferry._rows_of_sql(p_entity, format('select %I.%I(array(select ', v_handler[1], v_handler[2]), format(' from %s))', v_from)),
      v_from, v_only, v_key_join,
      format('There %s must leave a row of %s for each that it was given.', p_entity.on_apply, p_entity.relation));
  elsif p_entity.inbound is not null then
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
    v_inbound := format($f$  v_sent := $1;
  execute %3$s
  into $1 using $1;
  if array(select row(%1$s) from %2$s order by 1) operator(pg_catalog.<>) array(select row(%4$s) from %5$s order by 1) then
    raise exception using errcode = 'RF029', message = 'the inbound function on the other node has left a record out, or made another of it',
      hint = %6$L;
  end if;
$f$, v_sent_keys, v_sent_keys_from,
      rowferry._rows_of_sql(p_entity, format(E'select array[\n    %s]\n  from %I.%I(array(select ', v_values, v_names[1], v_names[2]), format(' from %s)) i', v_sent_from)),
      v_written_keys, v_from, format('There %s must return each record once, under its key.', p_entity.inbound));
  end if;

  return next format($f$create or replace function rowferry.%1$I(
  p_columns text[],
  p_created boolean
)
returns void
%2$s%14$sbegin
%6$s%13$s%3$s%12$s%11$s%4$s%5$s%11$s%15$send
$rowferry$$f$,
    rowferry._object_name('apply_', p_entity.name), format(v_head, v_path),
    case when v_lossy is null then '' else format($f$  if exists (select from %s where %s) then
    raise exception using errcode = '22003', message = 'a value does not fit its column on the other node without loss',
      hint = %L;
  end if;
$f$, v_lossy_from, v_lossy, format('Give the column there the type that it has here, and there: select rowferry.attach(%L); then here: select rowferry.retry(id);',
      p_entity.relation::text)) end,
    -- No update can set what is always generated.
    case when v_fixed is null or v_handler is not null then '' else format($f$  if exists (select from %s t join %s on %s where %s) then
    raise exception using errcode = '428C9', message = 'a column that is always generated as identity on the other node cannot be updated there',
      hint = %L;
  end if;
$f$, v_only, v_from, v_key_join, v_fixed, v_fixed_hint) end ||
    -- Setting a unique column locks out children of the row, even where its value stays: only where it changes. A key of which one
    -- value has two spellings (1.0 and 1.00) takes the one that was sent.
    case when v_moved_set is null or v_handler is not null then '' else format($f$  update %s t set %s
  from %s
  where %s and row(%s)::record operator(pg_catalog.*<>) row(%s)::record;
$f$, v_only, v_moved_set, v_from, v_key_join, v_moved_old, v_moved_new) end,
    ltrim(v_write, E'\n'), v_check || rowferry._users_check_sql(p_entity, coalesce(p_entity.inbound, p_entity.on_apply)), p_entity.relation, v_inserted, v_selected, v_from, v_outside,
    case when v_handler is null then format($f$  -- All of them new: if one is not, the whole is tried again as rows that may be there.
  if $2 then
    insert into %1$s (%2$s) overriding system value
    select %3$s
    from %4$s;
%5$s%6$s    return;
  end if;
$f$, p_entity.relation, v_inserted, v_selected, v_from, v_outside, v_after) end, v_inbound, case when v_inbound <> '' then E'declare\n  v_sent text[];\n' else '' end, v_after);

  return next format($f$create or replace function rowferry.%1$I(
  p_keys text[]
)
returns void
%2$sbegin
%4$s%5$s  execute %3$L using $1;
%6$send
$rowferry$$f$,
    rowferry._object_name('delete_', p_entity.name), format(v_head, v_path),
    -- A key of one column is found in one scan of its index. Planned each time, since the table may have been small the last time; but without a look at each value.
    'delete from ' || coalesce((
        select format('%s t where t.%I operator(pg_catalog.=) any (array(select pg_catalog.unnest($1::%s[])))', v_only, c.local, c.type)
        from rowferry._entity_columns(p_entity) c
        where c.key_position is not null and cardinality(p_entity.key_columns) = 1),
      format('%s t using %s where %s', v_only, v_keys_from, v_keys_join)), v_check,
    -- What is outside of the filter stays, and what is within can leave it no more.
    case when v_within is null then '' else v_pin || format(E'  execute %L into $1 using $1;\n',
      format('select array(select %s from %s t join %s on %s where %s for update of t)', rowferry._record_id_sql(p_entity, 't'), v_only, v_keys_from, v_keys_join, v_within))
      || v_unpin end, v_after);

  return next format($f$create or replace function rowferry.%1$I(
  p_keys text[]
)
returns text[]
%2$sdeclare
  v_locked text[];
begin
%7$s  select array_agg(l.record_id) into v_locked
  from (select %3$s from %4$s t join %5$s on %6$s for no key update of t skip locked) l (record_id);
  if cardinality(v_locked) operator(pg_catalog.=) cardinality($1) then
    return null;
  end if;
  return (
    select array_agg(p.record_id)
    from (select %3$s from %4$s t join %5$s on %6$s) p (record_id)
    where p.record_id not in (select unnest(v_locked))
  );
end
$rowferry$$f$,
    rowferry._object_name('lock_', p_entity.name), format(v_head, 'pg_catalog, pg_temp'), rowferry._record_id_sql(p_entity, 't'), v_only,
    v_keys_from, v_keys_join, v_check);
end
$function$;
comment on function rowferry._apply_sql(rowferry.entities) is 'DDL of the functions that write an entity''s rows.';
revoke all on function rowferry._apply_sql(rowferry.entities) from public;
