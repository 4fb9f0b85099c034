-- Who may do what in the schema: these rights and no others. Only note_release.sql and as_runner.sql come after it in a revision, because default privileges of
-- whoever installs, or of rowferry_owner, give rights on what was just made. It passes over names that a later revision makes. attach() gives the rights on the
-- functions that it makes.
do $$
declare
  v_generated oid[] := '{}';
  v_owners text[] := '{}';
  v_reader text;
  v_statement text;
begin
  if exists (select from pg_catalog.pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = '_entity_functions') then
    select coalesce(array_agg(p.oid), '{}') into v_generated
    from rowferry.entities e
    cross join lateral rowferry._entity_functions(e) f
    join pg_catalog.pg_proc p on p.pronamespace = 'rowferry'::regnamespace and p.proname = f.name;
    -- Each owner of a table makes a trigger of _refuse_truncate() when the table gets a new partition.
    select coalesce(array_agg(distinct pg_get_userbyid(c.relowner)::text), '{}') into v_owners
    from rowferry.entities e join pg_catalog.pg_class c on c.oid = e.relation;
  end if;
  if exists (select from pg_catalog.pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = '_dumped_by') then
    select pg_get_userbyid(rowferry._dumped_by()) into v_reader where rowferry._dumped_by() is not null;
  end if;
  -- First take away the rights that are too many, with all grants made by those who had them; then give those that are missing.
  for v_step in 1..2 loop
    for v_statement in
      with wanted (role, rights, kind, names) as (
        values
          ('rowferry_worker', 'USAGE', 'schema', array['rowferry']),
          ('rowferry_viewer', 'USAGE', 'schema', array['rowferry']),
          ('rowferry_operator', 'USAGE', 'schema', array['rowferry']),
          ('rowferry_viewer', 'SELECT', 'table', array['migration_log', 'entities', 'backfills', 'skips', 'conflicts', 'batches', 'traffic', 'breakers',
            'peer_facts', 'sync_events', 'compare_runs', 'compare_report', 'differences', 'backfill_progress', 'status', 'metrics']),
          ('rowferry_operator', 'DELETE', 'table', array['sync_events']),
          ('rowferry_worker', 'EXECUTE', 'function', array['process_batch(text,text,bytea,integer,jsonb,boolean,interval)']),
          ('rowferry_viewer', 'EXECUTE', 'function', array['version()', 'node_name()', 'help(text)', 'check(text)', 'drift()',
            'why_stuck(text)', 'row_status(text,text)',
            -- The views call these.
            '_link_status(text)', '_estimated_rows(regclass)', '_index_key(text)', '_long_key(text)']),
          ('rowferry_operator', 'EXECUTE', 'function', array['skip(bigint,text,boolean)', 'retry(bigint)', 'retry(text)', 'pause(text,text)',
            'resume(text,text)', 'backfill(text,integer)', 'resync(text)', 'let_loser_win(bigint)', 'replay(text,text[])', 'approve(text)',
            'skip_deletes(text,text)', 'set_breaker(text,real,integer)', 'set_retention(interval)', 'compare(text)', 'compare_all(text)',
            'set_backlog_limit(text,text)', 'repair(text,text,boolean,bigint)', 'first_contact(text,text,text,text,text)',
            'stagger_sequence(regclass,integer,integer)', 'stagger_sequences(text)', '_sequences_to_stagger(text)', '_staggering(regclass)',
            '_note_staggered(regclass,bigint)'])
        union all
        -- The WHEN of users' triggers calls it.
        select 'public', 'EXECUTE', 'function', array['is_applying()']
        union all
        select o.role, 'EXECUTE', 'function', array['_refuse_truncate()'] from unnest(v_owners) o (role)
        union all
        -- The owner of the database dumps it.
        select v_reader, 'USAGE', 'schema', array['rowferry']
        union all
        select v_reader, 'SELECT', 'table', array(
          select c.relname from pg_catalog.pg_class c where c.relnamespace = 'rowferry'::regnamespace and c.relkind in ('r', 'S'))
      ), objects (kind, id, name, owner, acl) as (
        select 'schema', n.oid, 'schema rowferry', n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
        from pg_catalog.pg_namespace n where n.nspname = 'rowferry'
        union all
        select 'table', c.oid, format('%s rowferry.%I', case c.relkind when 'S' then 'sequence' else 'table' end, c.relname), c.relowner,
          coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))
        from pg_catalog.pg_class c where c.relnamespace = 'rowferry'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
        union all
        select 'function', p.oid, format('routine %s', p.oid::regprocedure), p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
        from pg_catalog.pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.oid <> all (v_generated)
        union all
        -- The types of tables and arrays have no rights of their own.
        select 'type', t.oid, format('type %s', t.oid::regtype), t.typowner, coalesce(t.typacl, acldefault('T', t.typowner))
        from pg_catalog.pg_type t left join pg_catalog.pg_class c on c.oid = t.typrelid
        where t.typnamespace = 'rowferry'::regnamespace and t.typtype in ('c', 'd', 'e', 'r') and coalesce(c.relkind, 'c') = 'c'
      ), found (kind, id, name, owner, role, privilege, fits) as (
        select o.kind, o.id, o.name, o.owner, a.grantee, a.privilege_type, not a.is_grantable
        from objects o cross join lateral aclexplode(o.acl) a
        union all
        select o.kind, o.id, o.name, o.owner, x.grantee, x.privilege_type, false
        from objects o
        join pg_catalog.pg_attribute a on o.kind = 'table' and a.attrelid = o.id
        cross join lateral aclexplode(a.attacl) x
      ), listed (kind, id, role, privilege) as (
        select w.kind, case w.kind when 'schema' then to_regnamespace(n.name)::oid when 'table' then to_regclass('rowferry.' || n.name)::oid
            else to_regprocedure('rowferry.' || n.name)::oid end, r.oid, w.rights
        from wanted w
        cross join lateral unnest(w.names) n (name)
        join (select r.oid, r.rolname from pg_catalog.pg_roles r union all select 0, 'public') r on r.rolname = w.role
        union all
        select o.kind, o.id, o.owner, a.privilege_type
        from objects o
        cross join lateral aclexplode(acldefault(case when o.kind = 'schema' then 'n' when o.kind = 'function' then 'f' when o.kind = 'type' then 'T'
          when o.name ^@ 'sequence ' then 's' else 'r' end::"char", o.owner)) a
        where a.grantee = o.owner
      )
      select distinct format('revoke all on %s from %s cascade', f.name, case f.role when 0 then 'public' else quote_ident(pg_get_userbyid(f.role)) end)
      from found f
      where v_step = 1 and f.role <> f.owner and pg_has_role(f.owner, 'usage')
        and not (f.fits and exists (select from listed l where l.kind = f.kind and l.id = f.id and l.role = f.role and l.privilege = f.privilege))
      union all
      select format('grant %s on %s to %s', string_agg(l.privilege, ', '), o.name,
        case l.role when 0 then 'public' else quote_ident(pg_get_userbyid(l.role)) end)
      from listed l join objects o on o.kind = l.kind and o.id = l.id
      where v_step = 2 and pg_has_role(o.owner, 'usage')
        and not exists (select from found f where f.kind = l.kind and f.id = l.id and f.role = l.role and f.privilege = l.privilege)
      group by o.name, l.role
    loop
      execute v_statement;
    end loop;
  end loop;
end
$$;
