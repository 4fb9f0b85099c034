create or replace function rowferry._plan_within(
  p_entity rowferry.entities,
  p_old rowferry.entities,
  p_within text
)
returns rowferry.entities
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_within constant text := coalesce(p_within, p_old.within);
  v_owner constant oid := (select c.relowner from pg_class c where c.oid = p_entity.relation);
  v_parent rowferry.entities;
  v_parent_table pg_class;
  v_names text[];
  v_found record;
  v_stays text[];
begin
  p_entity.within := null;
  p_entity.within_columns := null;
  p_entity.within_parent_columns := null;
  if coalesce(v_within, '') = '' then
    return p_entity;
  end if;
  select count(*) as keys, (array_agg(f.id))[1] as id, min(p.id) as parent_id, string_agg(f.name, ', ' order by f.name) as names into v_found
  from (select distinct k.id, k.name, k.relation, k.columns, k.parent_relation from rowferry._foreign_keys k where k.relation = p_entity.relation) f
  join rowferry.entities p on p.relation = f.parent_relation and p.peer = p_entity.peer and p.id <> p_entity.id
  where v_within in (p.name, f.name, split_part(p.name, '@', 1))
    and (p_within is not null or f.columns = p_old.within_columns or not exists (
      select from rowferry._foreign_keys o where o.relation = f.relation and o.parent_relation = f.parent_relation and o.id <> f.id));
  if v_found.keys = 0 then
    raise exception using errcode = 'RF013', message = 'the table has no foreign key to a table of this name that is kept in sync',
      detail = format('%L; its foreign keys: %s.', v_within, coalesce((
        select string_agg(format('%s to %s%s', f.name, f.parent_relation, coalesce(', which is entity ' || p.name, ', which is not attached')),
          '; ' order by f.name)
        from (select distinct k.name, k.parent_relation from rowferry._foreign_keys k where k.relation = p_entity.relation) f
        left join rowferry.entities p on p.relation = f.parent_relation and p.peer = p_entity.peer), 'none')),
      hint = format('Attach the parent first, with its filter; then: select rowferry.attach(%L%s, p_within => name of its entity);'
        '  -- or p_within => '''' for a table whose rows follow no others', p_entity.relation::text, rowferry._which_entity(p_entity.peer));
  elsif v_found.keys > 1 then
    raise exception using errcode = 'RF013', message = 'several foreign keys refer to this parent', detail = format('%L: %s.', v_within, v_found.names),
      hint = format('Name one of them: select rowferry.attach(%L%s, p_within => %L);', p_entity.relation::text, rowferry._which_entity(p_entity.peer),
        split_part(v_found.names, ', ', 1));
  end if;
  select p.* into v_parent from rowferry.entities p where p.id = v_found.parent_id;
  select c.* into v_parent_table from pg_class c where c.oid = v_parent.relation;
  select f.columns, f.parent_columns into p_entity.within_columns, p_entity.within_parent_columns from rowferry._foreign_keys f where f.id = v_found.id limit 1;
  p_entity.within := v_parent.name;
  v_names := (
    with recursive up (name, path) as (
      select v_parent.name, array[v_parent.name]
      union all
      select e.within, u.path || e.within from up u join rowferry.entities e on e.name = u.name where e.within <> all (u.path)
    )
    select array_agg(u.name) from up u);
  v_stays := array(select c from unnest(p_entity.within_columns) c where c <> all (p_entity.local_columns));
  if p_entity.name = any (v_names) then
    raise exception using errcode = 'RF013', message = 'rows cannot follow rows that follow them',
      detail = format('%s follows %s.', v_parent.name, p_entity.name),
      hint = format('select rowferry.attach(%L%s, p_within => '''');', v_parent.relation::text, rowferry._which_entity(p_entity.peer));
  elsif v_parent.filter is null and v_parent.within is null and p_within is not null then
    raise exception using errcode = 'RF013', message = 'all rows of the parent are kept in sync, so there is nothing to follow',
      detail = format('%s has no filter.', v_parent.name),
      hint = format('Give it one first: select rowferry.attach(%L%s, p_filter => ..); or leave p_within out.', v_parent.relation::text,
        rowferry._which_entity(p_entity.peer));
  elsif p_entity.outbound is not null or p_entity.inbound is not null then
    raise exception using errcode = 'RF013', message = 'a table with a view or an inbound function cannot follow another one',
      detail = format('%s.', coalesce(p_entity.outbound, p_entity.inbound)),
      hint = 'Attach the table without p_outbound and p_inbound, or without p_within.';
  elsif v_parent.direction = 'receive' and p_entity.direction <> 'receive' then
    raise exception using errcode = 'RF013', message = 'changes of the parent are not captured, so nothing could follow them',
      detail = format('%s only receives.', v_parent.name),
      hint = 'Give both one direction (p_direction), or leave p_within out.';
  elsif v_stays <> '{}' then
    raise exception using errcode = 'RF013', message = 'the columns of the foreign key do not travel',
      detail = format('%s: %s.', p_entity.relation, array_to_string(v_stays, ', ')),
      hint = format('select rowferry.attach(%L%s, p_columns => ..);  -- with them, on both nodes', p_entity.relation::text,
        rowferry._which_entity(p_entity.peer));
  elsif p_entity.filter_left <> v_parent.filter_left then
    raise exception using errcode = 'RF013', message = 'rows that leave the filter stay on the peer for one of the two tables only',
      detail = format('p_filter_left is %s for %s and %s for %s.', v_parent.filter_left, v_parent.name, p_entity.filter_left, p_entity.name),
      hint = format('select rowferry.attach(%L%s, p_within => %L, p_filter_left => %L);', p_entity.relation::text, rowferry._which_entity(p_entity.peer),
        v_parent.name, v_parent.filter_left);
  elsif exists (select from pg_constraint f where f.oid = v_found.id and not f.convalidated) then
    raise exception using errcode = 'RF013', message = 'the foreign key is not validated',
      detail = format('%s.', v_found.names),
      hint = format('alter table %s validate constraint %I;', p_entity.relation, v_found.names);
  elsif exists (
    select from pg_constraint f cross join lateral unnest(f.conpfeqop) o (id) join pg_operator p on p.oid = o.id
    where f.oid = v_found.id and p.oprnamespace <> 'pg_catalog'::regnamespace) then
    raise exception using errcode = 'RF013', message = 'the foreign key compares with an operator that is not part of PostgreSQL',
      detail = format('%s.', v_found.names),
      hint = 'Give its columns a type of PostgreSQL, or leave p_within out.';
  elsif not has_table_privilege(v_owner, v_parent.relation, 'select') or not has_schema_privilege(v_owner, v_parent_table.relnamespace, 'usage') then
    raise exception using errcode = '42501', message = 'the owner of the table may not read the parent',
      detail = format('%s belongs to %I; it is this role that looks at %s.', p_entity.relation, pg_get_userbyid(v_owner), v_parent.relation),
      hint = concat(case when not has_schema_privilege(v_owner, v_parent_table.relnamespace, 'usage')
        then format('grant usage on schema %s to %I; ', v_parent_table.relnamespace::regnamespace, pg_get_userbyid(v_owner)) end,
        format('grant select on %s to %I;', v_parent.relation, pg_get_userbyid(v_owner)));
  elsif v_parent_table.relrowsecurity and not pg_has_role(v_owner, v_parent_table.relowner, 'usage')
    and not (select r.rolbypassrls or r.rolsuper from pg_roles r where r.oid = v_owner) then
    raise exception using errcode = 'RF013', message = 'row-level security would hide rows of the parent',
      detail = format('%s, from %I, who owns %s.', v_parent.relation, pg_get_userbyid(v_owner), p_entity.relation),
      hint = format('Let one role own both: alter table %s owner to %I;', p_entity.relation, pg_get_userbyid(v_parent_table.relowner));
  elsif not pg_has_role(current_user, v_parent_table.relowner, 'usage') then
    raise exception using errcode = '42501', message = 'to follow the rows of a table changes how that table is captured, which needs the rights of its owner',
      detail = format('%s belongs to %I; the current role is %I.', v_parent.relation, pg_get_userbyid(v_parent_table.relowner), current_user),
      hint = format('As a superuser: grant %I to %I;', pg_get_userbyid(v_parent_table.relowner), current_user);
  end if;
  return p_entity;
end
$$;
comment on function rowferry._plan_within(rowferry.entities, rowferry.entities, text) is
  'Returns the entity with the parent that its rows are to follow. p_within is the name of an entity, or of a foreign key to its table; '''' means no parent, '
  'and null means the parent of p_old. If that is impossible, it raises an error with the reason.';
