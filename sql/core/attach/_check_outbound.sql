create or replace function rowferry._check_outbound(
  p_entity rowferry.entities
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_view pg_class;
  v_query text;
  v_owner constant oid := (select c.relowner from pg_class c where c.oid = p_entity.relation);
  v_names text;
  v_hint constant text := 'It is a view of the table alone, without condition, join or aggregate: '
    'create view app.accounts_out as select id, lower(email) as address from app.accounts;';
begin
  if rowferry._split_name(p_entity.outbound) is null then
    raise exception using errcode = 'RF013', message = 'an outbound view is named with its schema', detail = format('%L.', p_entity.outbound),
      hint = 'p_outbound => ''app.accounts_out''';
  end if;
  select c.* into v_view from pg_class c where c.oid = (select rowferry._travelling_relation(p_entity));
  if v_view.oid is null or v_view.relkind <> 'v' or v_view.relpersistence = 't' then
    raise exception using errcode = 'RF013', message = 'there is no such view', detail = format('%s.', p_entity.outbound), hint = v_hint;
  elsif not has_schema_privilege(v_owner, v_view.relnamespace, 'usage') or not has_table_privilege(v_owner, v_view.oid, 'select') then
    raise exception using errcode = 'RF013', message = 'the owner of the table may not read the outbound view', detail = format('%s.', v_view.oid::regclass),
      hint = format('grant usage on schema %s to %I; grant select on %s to %2$I;', v_view.relnamespace::regnamespace, pg_get_userbyid(v_owner),
        v_view.oid::regclass);
  end if;
  if not has_table_privilege(v_view.relowner, p_entity.relation, 'select') and not coalesce('security_invoker=true' = any (v_view.reloptions), false) then
    raise exception using errcode = 'RF013', message = 'the owner of the outbound view may not read the table',
      detail = format('%s belongs to %I.', v_view.oid::regclass, pg_get_userbyid(v_view.relowner)),
      hint = format('grant select on %s to %I;', p_entity.relation, pg_get_userbyid(v_view.relowner));
  end if;
  if (select t.relrowsecurity from pg_class t where t.oid = p_entity.relation) and v_view.relowner <> v_owner
    and not (select r.rolsuper or r.rolbypassrls from pg_roles r where r.oid = v_view.relowner) then
    raise exception using errcode = 'RF013', message = 'row-level security would hide rows from the owner of the outbound view',
      detail = format('%s belongs to %I.', v_view.oid::regclass, pg_get_userbyid(v_view.relowner)),
      hint = format('alter view %s owner to %I;', v_view.oid::regclass, pg_get_userbyid(v_owner));
  end if;
  -- The stored query without the insides of expressions and subqueries: its list of relations, its FROM and WHERE, its columns.
  v_query := (
    select string_agg(t.token, '' order by t.ord)
    from (
      select m.token[1], m.ord, sum(case m.token[1] when '{' then 1 when '}' then -1 else 0 end) over (order by m.ord)
      from pg_rewrite w
      cross join lateral regexp_matches(w.ev_action::text, E'(\\\\.|[{}]|[^\\\\{}]+)', 'g') with ordinality m (token, ord)
      where w.ev_class = v_view.oid and w.rulename = '_RETURN'
    ) t (token, ord, depth)
    where t.depth <= 2 and t.token not in ('{', '}'));
  -- Bit 4: PostgreSQL could update through the view, so its FROM is one relation, unless somebody's rule is the reason. The view locks nothing and uses no
  -- system column.
  if pg_relation_is_updatable(v_view.oid, false) & 4 = 0 or exists (select from pg_rewrite w where w.ev_class = v_view.oid and w.rulename <> '_RETURN')
    or v_query ~ E':rowMarks \\(' or exists (select from pg_rewrite w where w.ev_class = v_view.oid and w.ev_action::text ~ ':varattno -')
    or v_query !~ E':jointree FROMEXPR :fromlist \\(\\) :quals <>'
    or not exists (select from regexp_split_to_table(v_query, 'RANGETBLENTRY|:jointree') r (entry)
      where r.entry ~ format(':relid %s .*:inh true|:inh true.*:relid %1$s ', p_entity.relation::oid)) then
    raise exception using errcode = 'RF013', message = 'the outbound view does not give one row for each row of the table',
      detail = format('%s.', v_view.oid::regclass), hint = v_hint;
  end if;
  select string_agg(v.attname, ', ' order by v.attnum) into v_names
  from pg_attribute v
  join pg_attribute a on a.attrelid = p_entity.relation and a.attnum > 0 and not a.attisdropped and a.attname = v.attname
  where v.attrelid = v_view.oid and v.attnum > 0
    and v_query !~ format(E':resno %s :resname (?:\\\\.|[^\\\\ ])+ :ressortgroupref \\d+ :resorigtbl %s :resorigcol %s ', v.attnum, p_entity.relation::oid,
      a.attnum);
  if v_names is not null then
    raise exception using errcode = 'RF013', message = 'a column of the outbound view has the name of a column of the table, and is another',
      detail = format('%s: %s.', v_view.oid::regclass, v_names),
      hint = 'Give it another name; p_columns says how it is called on its way: p_columns => ''{"id": "id", "email": "address"}''.';
  end if;
end
$$;
comment on function rowferry._check_outbound(rowferry.entities) is
  'Raises the reason why a view cannot be an entity''s outbound view: it must give one row for each row of the table, under the table''s own key, found by the '
  'table''s index.';
