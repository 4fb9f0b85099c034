create or replace function rowferry._check_rights(
  p_peer text
)
returns setof rowferry._finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  -- From PostgreSQL 16 on, whoever makes a role becomes a member of it that may grant it, and can grant themselves the rest. That makes nobody a worker.
  with recursive members (role, member) as (
    select m.roleid, m.member
    from pg_auth_members m cross join lateral to_jsonb(m) o (options)
    where m.grantor <> m.member and (coalesce((o.options ->> 'inherit_option')::boolean, true) or coalesce((o.options ->> 'set_option')::boolean, true))
  ), workers (id, login, super, name) as (
    select m.member, r.rolcanlogin, r.rolsuper, r.rolname
    from members m join pg_roles r on r.oid = m.member
    where m.role = 'rowferry_worker'::regrole
    union
    select m.member, r.rolcanlogin, r.rolsuper, r.rolname
    from workers w join members m on m.role = w.id join pg_roles r on r.oid = m.member
  ), generated as materialized (
    select g.*, p.oid::regprocedure::text as signature, p.proowner, pg_get_userbyid(g.belongs_to) as owner_name, pg_get_userbyid(g.caller) as caller_name
    from rowferry.entities e
    join rowferry._generated_functions() g on g.entity = e.name
    join pg_proc p on p.oid = g.function
    where e.peer = coalesce(p_peer, e.peer)
  )
  select 'error', g.signature, format('it belongs to %I, not to %I', pg_get_userbyid(g.proowner), g.owner_name),
    -- A change of the owner takes away the right to call it of whoever becomes the owner.
    format('alter function %1$s owner to %2$I; grant execute on function %1$s to %3$I;', g.signature, g.owner_name, g.caller_name)
  from generated g
  where g.proowner <> g.belongs_to
  union all
  select 'error', g.signature, format('%I may not execute it', g.caller_name), format('grant execute on function %s to %I;', g.signature, g.caller_name)
  from generated g
  where not has_function_privilege(g.caller, g.function, 'execute')
  union all
  select 'error', p.oid::regprocedure::text, format('it belongs to %I, not to rowferry_owner', pg_get_userbyid(p.proowner)),
    format('alter function %s owner to rowferry_owner;', p.oid::regprocedure)
  from pg_proc p
  where p.pronamespace = 'rowferry'::regnamespace and p.proowner <> 'rowferry_owner'::regrole
    and p.oid::regprocedure::text in (select r.function from rowferry.released r)
  union all
  select 'error', p.oid::regprocedure::text,
    case when x.open then 'everybody may execute it' else 'not everybody may execute it: users cannot write tables that have triggers' end,
    format(case when x.open then 'revoke execute on function %s from public;' else 'grant execute on function %s to public;' end, p.oid::regprocedure)
  from pg_proc p
  cross join lateral (select has_function_privilege('public', p.oid, 'execute')) x (open)
  where p.pronamespace = 'rowferry'::regnamespace and x.open <> (p.proname = 'is_applying')
  union all
  select 'error', 'schema rowferry', format('%s may not use it', r.name), format('grant usage on schema rowferry to %s;', r.name)
  from (values ('rowferry_worker'), ('rowferry_viewer'), ('rowferry_operator')) r (name)
  where not has_schema_privilege(r.name, 'rowferry', 'usage')
  union all
  select 'error', p.oid::regprocedure::text, 'rowferry_worker may not execute it',
    format('grant execute on function %s to rowferry_worker;', p.oid::regprocedure)
  from pg_proc p
  where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'process_batch' and not has_function_privilege('rowferry_worker', p.oid, 'execute')
  union all
  select 'error', 'rowferry_operator', 'it is no member of rowferry_viewer', 'grant rowferry_viewer to rowferry_operator;'
  where not pg_has_role('rowferry_operator', 'rowferry_viewer', 'usage')
  union all
  select distinct 'error', e.relation::text,
    format('its owner %I, who reads and writes its rows, may not use schema %s', pg_get_userbyid(c.relowner), s.id) || s.why,
    format('grant usage on schema %s to %I;', s.id, pg_get_userbyid(c.relowner))
  from rowferry.entities e
  join pg_class c on c.oid = e.relation
  cross join lateral (
    select c.relnamespace::regnamespace, ''
    union
    select t.typnamespace::regnamespace, ', in which the type of a column is'
    from rowferry._entity_columns(e) l
    join pg_type t on t.oid = l.type_oid
    where t.typnamespace <> c.relnamespace) s (id, why)
  where e.peer = coalesce(p_peer, e.peer) and not has_schema_privilege(c.relowner, s.id, 'usage')
  union all
  select 'error', e.relation::text,
    format('its owner %I, who writes the peer''s rows, has given up %s on it', pg_get_userbyid(c.relowner), string_agg(r.name, ', ' order by r.ord)),
    format('grant %s on table %s to %I;', string_agg(r.name, ', ' order by r.ord), e.relation, pg_get_userbyid(c.relowner))
  from rowferry.entities e
  join pg_class c on c.oid = e.relation
  join (values (1, 'select'), (2, 'insert'), (3, 'update'), (4, 'delete')) r (ord, name) on not has_table_privilege(c.relowner, c.oid, r.name)
  where e.peer = coalesce(p_peer, e.peer)
  group by e.relation, c.relowner
  union all
  select 'warning', format('role %I', w.name), 'the worker''s login may do more than call process_batch()',
    case when w.super then format('alter role %I nosuperuser;', w.name)
      else format('revoke rowferry_owner from %I; or give the worker a login of its own.', w.name) end
  from workers w
  where w.login and (w.super or pg_has_role(w.id, 'rowferry_owner',
    case when current_setting('server_version_num')::integer >= 160000 then 'usage, set' else 'member' end))
  union all
  -- A backup that failed is often noticed only when it is needed.
  select 'info', format('role %I', r.rolname), format('it owns the database and cannot dump it as a whole: it may not read %s', t.name),
    case when rowferry._dumped_by() is not null then 'select rowferry._let_dump();'
      else format('grant pg_read_all_data to %I; or pg_dump -N rowferry, which leaves out what is pending and how tables are attached.', r.rolname) end
  from pg_database d
  join pg_roles r on r.oid = d.datdba
  cross join lateral (
    select min(c.oid::regclass::text) from pg_class c
    where c.relnamespace = 'rowferry'::regnamespace
      and case c.relkind when 'r' then not has_table_privilege(r.oid, c.oid, 'select') when 'S' then not has_sequence_privilege(r.oid, c.oid, 'select') end
  ) t (name)
  where d.datname = current_database() and t.name is not null
  union all
  select 'warning', format('role %I', r.rolname), 'the worker that is at work has connected as a superuser',
    'Give it a login of its own: create role rowferry_courier login in role rowferry_worker; and put it into the connection string.'
  from rowferry.node n
  join pg_stat_activity a on a.pid = rowferry._courier_at_work(n.name, p_peer)
  join pg_roles r on r.oid = a.usesysid
  where r.rolsuper
$$;
comment on function rowferry._check_rights(text) is
  'For check() and drift(): rights that are missing, and rights that somebody has but should not have. If p_peer is null, those of all peers are looked at.';
