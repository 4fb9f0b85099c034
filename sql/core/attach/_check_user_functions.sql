create or replace function rowferry._check_user_functions(
  p_entity rowferry.entities
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_owner constant text := (select pg_get_userbyid(t.relowner) from pg_class t where t.oid = p_entity.relation);
  v_shape constant regclass := rowferry._travelling_relation(p_entity);
  v_written constant rowferry.entities := rowferry._written(p_entity);
  v_kind record;
  v_function pg_proc;
  v_wrong text;
begin
  for v_kind in
    select *
    from (values
      ('inbound function', p_entity.inbound, 'p_inbound => ''app.accounts_in''', '%s(p_rows %s[]) returns table (..)',
        'It gets the rows as they travel, and returns the columns of the table to write: each record once, its key too.'),
      ('function that applies rows', p_entity.on_apply, 'p_on_apply => ''billing.apply_account''', '%s(p_rows %s[]) returns void',
        'It gets the rows as the peer has them, null in columns that do not travel, and writes them to the table; deletes do not go through it.'),
      ('merge function', substring(p_entity.conflict_rule from '^merge:(.+)$'), 'merge:billing.merge_account', '%1$s(mine %2$s, theirs %2$s) returns %2$s',
        'It gets this node''s row and the other''s, null where it was deleted, and returns the row that both get, or null to delete it.')
    ) k (name, function, example, declared, hint)
    where k.function is not null
  loop
    if rowferry._split_name(v_kind.function) is null or strpos(v_kind.function, '$rowferry$') > 0 then
      raise exception using errcode = 'RF013',
        message = format('the %s is named with its schema, and without $rowferry$, which quotes the generated functions', v_kind.name),
        detail = format('%L.', v_kind.function), hint = v_kind.example;
    end if;
    -- The node that does not merge never calls it.
    continue when v_kind.name = 'merge function' and not rowferry._merges_here(p_entity.peer);
    v_function := (
      select rowferry._find_user_function(v_kind.function,
        case v_kind.name when 'merge function' then array_to_string(array[t.oid, t.oid], ' ') else t.typarray::text end::oidvector)
      from pg_type t
      where t.typrelid = v_shape);
    if v_function.oid is null or not (case v_kind.name
        when 'inbound function' then exists (select from rowferry._inbound_columns(p_entity))
        when 'merge function' then not v_function.proretset and v_function.prorettype = v_function.proargtypes[0]
        else v_function.prorettype = 'void'::regtype end) then
      raise exception using errcode = 'RF013', message = format('there is no such %s', v_kind.name), detail = format(v_kind.declared, v_kind.function, v_shape),
        hint = v_kind.hint;
    elsif v_kind.name = 'merge function' and v_function.proisstrict then
      raise exception using errcode = 'RF013', message = 'a merge function must be called on null too',
        detail = format('%s is strict.', v_function.oid::regprocedure),
        hint = format('A row is null where it was deleted: alter function %s called on null input;', v_function.oid::regprocedure);
    elsif not has_schema_privilege(v_owner, v_function.pronamespace, 'usage') or not has_function_privilege(v_owner, v_function.oid, 'execute') then
      raise exception using errcode = 'RF013', message = format('the owner of the table may not execute the %s', v_kind.name),
        detail = format('%s.', v_function.oid::regprocedure),
        hint = format('grant usage on schema %s to %I; grant execute on function %s to %2$I;', v_function.pronamespace::regnamespace, v_owner,
          v_function.oid::regprocedure);
    end if;
  end loop;

  select string_agg(format('%s %s', i.name, format_type(i.type, null)), ', ') into v_wrong
  from rowferry._inbound_columns(p_entity) i
  where not exists (
    select from pg_attribute a
    where a.attrelid = p_entity.relation and a.attname = i.name and a.atttypid = i.type and a.attnum > 0 and not a.attisdropped and a.attgenerated = '');
  if v_wrong is not null then
    raise exception using errcode = 'RF013', message = 'the inbound function returns a column that the table does not have, or has with another type',
      detail = format('%s: %s.', p_entity.inbound, v_wrong),
      hint = format('It returns the columns of %s to write, with their names and types: returns table (id integer, ..).', p_entity.relation);
  elsif not v_written.columns @> v_written.key_columns then
    raise exception using errcode = 'RF013', message = 'the inbound function does not return the key',
      detail = format('%s; the key is %s.', p_entity.inbound, array_to_string(v_written.key_columns, ', ')),
      hint = 'The function must return each record that it was given, with the same key.';
  end if;
end
$$;
comment on function rowferry._check_user_functions(rowferry.entities) is
  'Raises the reason why an entity''s inbound function, its handler or its merge function cannot be one. A merge function is looked for on the node that '
  'merges alone.';
