-- The roles, the schema that they share, and the log of revisions.
-- Roles belong to the whole cluster: another database of the cluster may create them at the same moment, or have created them long ago.
do $$
begin
  if current_setting('server_encoding') <> 'UTF8' then
    raise exception using errcode = 'RF006', message = 'a node''s database must be encoded in UTF8',
      detail = format('This one is in %s.', current_setting('server_encoding')),
      hint = 'Create the database with encoding UTF8: a character that the other node cannot encode could never arrive.';
  end if;
end
$$;

do $$
declare
  v_role text;
  v_missing text[] := '{}';
  v_created text[] := '{}';
begin
  foreach v_role in array array['rowferry_owner', 'rowferry_worker', 'rowferry_viewer', 'rowferry_operator'] loop
    if exists (select from pg_catalog.pg_roles where rolname = v_role) then
      continue;
    end if;
    begin
      execute format('create role %I nologin', v_role);
      v_created := v_created || v_role;
    exception
      when unique_violation or duplicate_object then
        null;
      when insufficient_privilege then
        v_missing := v_missing || v_role;
    end;
  end loop;
  if v_missing <> '{}' then
    raise exception using errcode = 'RF031', message = 'roles are missing and the migrating user may not create them',
      detail = format('%s has no CREATEROLE.', current_user),
      hint = format('As a superuser run: %s grant rowferry_viewer to rowferry_operator; grant rowferry_owner to %I%s;',
        (select string_agg(format('create role %I nologin;', r), ' ') from unnest(v_missing) r), current_user,
        case when current_setting('server_version_num')::int >= 160000 then ' with inherit true, set true' end);
  end if;
  if 'rowferry_owner' = any (v_created) then
    comment on role rowferry_owner is 'rowferry: owns its schema, tables and functions.';
  end if;
  if 'rowferry_worker' = any (v_created) then
    comment on role rowferry_worker is 'rowferry: may call process_batch and nothing else; grant it to the worker''s login.';
  end if;
  if 'rowferry_viewer' = any (v_created) then
    comment on role rowferry_viewer is 'rowferry: reads the views.';
  end if;
  if 'rowferry_operator' = any (v_created) then
    comment on role rowferry_operator is 'rowferry: viewer, and may retry, skip, pause, resume, backfill, resync.';
  end if;
end
$$;

-- The migrating user has to have the rights of rowferry_owner and to be able to become it; from PostgreSQL 16 on these are two grants.
do $$
declare
  v_16 constant boolean := current_setting('server_version_num')::int >= 160000;
  v_options constant text := case when v_16 then ' with inherit true, set true' else '' end;
  v_set constant text := case when v_16 then 'set' else 'member' end;
  v_todo text[];
begin
  for v_attempt in 1..2 loop
    v_todo := '{}';
    if not pg_has_role('rowferry_operator', 'rowferry_viewer', 'usage') then
      v_todo := v_todo || 'grant rowferry_viewer to rowferry_operator'::text;
    end if;
    if not pg_has_role('rowferry_owner', v_set) or v_16 and not pg_has_role('rowferry_owner', 'usage') then
      v_todo := v_todo || format('grant rowferry_owner to %I%s', current_user, v_options);
    end if;
    if not v_16 and not (select rolinherit or rolsuper from pg_catalog.pg_roles where rolname = current_user) then
      v_todo := v_todo || format('alter role %I inherit', current_user);
    end if;
    exit when v_todo = '{}' or v_attempt = 2;
    for v_number in 1..cardinality(v_todo) loop
      begin
        execute v_todo[v_number];
      exception when insufficient_privilege or unique_violation then
        null;
      end;
    end loop;
  end loop;
  if v_todo <> '{}' then
    raise exception using errcode = 'RF032', message = 'a membership among roles is missing and the migrating user may not grant it',
      detail = format('%s has to be a member of rowferry_owner that inherits its rights, and rowferry_operator a member of rowferry_viewer.', current_user),
      hint = format('As a superuser run: %s;', array_to_string(v_todo, '; '));
  end if;
end
$$;

-- The migration runner has created the schema already, because its version tables are in it.
do $$
begin
  if not exists (
    select from pg_catalog.pg_namespace where nspname = 'rowferry' and pg_get_userbyid(nspowner) = 'rowferry_owner'
  ) then
    alter schema rowferry owner to rowferry_owner;
  end if;
exception when insufficient_privilege then
  raise exception using errcode = 'RF033', message = 'the schema rowferry cannot be given to rowferry_owner',
    detail = sqlerrm || '.',
    hint = 'As a superuser run: alter schema rowferry owner to rowferry_owner;';
end
$$;
-- Nobody but its owner may call a new function before rights.sql says who may.
alter default privileges for role rowferry_owner revoke execute on functions from public;
comment on schema rowferry is 'rowferry keeps records of two databases equal, in both directions.';

-- alembic adds a row after each step, also of the site's revisions. The log stays when the rest is downgraded.
do $$
begin
  if to_regclass('rowferry.migration_log') is null then
    create table rowferry.migration_log (
      ran_at timestamptz not null default clock_timestamp(),
      ran_by text not null default session_user,
      ran_with text not null default current_setting('application_name'),
      lineage text not null,
      revision text not null,
      title text not null,
      direction text not null,
      toolkit text not null,
      files jsonb not null
    );
  end if;
end
$$;
alter table rowferry.migration_log owner to rowferry_owner;
comment on table rowferry.migration_log is 'Which revision was applied or taken back, when, by whom: a row per step.';
comment on column rowferry.migration_log.ran_at is 'When.';
comment on column rowferry.migration_log.ran_by is 'The login.';
comment on column rowferry.migration_log.ran_with is 'Its application_name: rowferry migrations for alembic, psql for a script.';
comment on column rowferry.migration_log.lineage is 'core: rowferry''s own revisions; site: yours.';
comment on column rowferry.migration_log.revision is 'Which.';
comment on column rowferry.migration_log.title is 'What it says of itself.';
comment on column rowferry.migration_log.direction is 'upgrade, downgrade or stamp.';
comment on column rowferry.migration_log.toolkit is 'Version of rowferry that ran it, or printed the script.';
comment on column rowferry.migration_log.files is 'SHA-256 of each SQL file of yours that it ran, by name: rowferry drift compares them.';
