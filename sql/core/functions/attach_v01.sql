-- Takes a table into the sync: select rowferry.attach('public.accounts'). Runs with the caller's rights. With p_dry_run the DDL is returned and not run.
-- p_columns: a map from entity column to column, or an array; p_key: entity columns of a unique index; p_truncate: refuse or propagate. Called again for a
-- table that has new partitions, it makes these refuse TRUNCATE too; it makes anew those functions of its that would be made otherwise today. Rules: docs/design.md.
create or replace function rowferry.attach(
  p_table regclass,
  p_entity text default null,
  p_columns jsonb default null,
  p_key text[] default null,
  p_peer text default null,
  p_conflict_rule text default 'newest',
  p_orphan_rule text default 'hold',
  p_truncate text default 'refuse',
  p_direction text default 'both',
  p_filter text default null,
  p_filter_left text default 'delete',
  p_outbound text default null,
  p_inbound text default null,
  p_on_apply text default null,
  p_dry_run boolean default false
)
returns setof text
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
set transform_null_equals = off
set array_nulls = on
set plpgsql.extra_errors = none
set jit = off
set lock_timeout = '5s'
as $$
declare
  v_entity rowferry.entities;
  v_given text;
  v_kept record;
  v_statement text;
  v_statements text[];
  v_warning text := rowferry._server_warning(current_setting('server_version_num')::integer);
begin
  if not p_dry_run then
    lock table rowferry.entities in share row exclusive mode;
  end if;
  select e.* into v_entity from rowferry.entities e where e.relation = p_table and e.name = coalesce(p_entity, e.name);
  if found then
    -- Proved again, with the types that its columns have now.
    v_given := (rowferry._check_filter(p_table, p_filter)).o_filter;
    v_kept := rowferry._check_filter(p_table, v_entity.filter, p_kept => true);
    if not (p_filter is null or v_given is not distinct from v_kept.o_filter)
      or exists (
        select from (values (p_peer, null, v_entity.peer), (p_conflict_rule, 'newest', v_entity.conflict_rule), (p_orphan_rule, 'hold', v_entity.orphan_rule),
          (p_truncate, 'refuse', v_entity.truncate_rule), (p_direction, 'both', v_entity.direction), (p_filter_left, 'delete', v_entity.filter_left),
          (p_outbound, null, v_entity.outbound), (p_inbound, null, v_entity.inbound), (p_on_apply, null, v_entity.on_apply)) a (given, usual, kept)
        where a.given is distinct from a.usual and a.given is distinct from a.kept) then
      raise exception using errcode = 'RF011', message = 'already attached, and otherwise', detail = format('Entity %s is table %s.', v_entity.name, p_table),
        hint = format('To change it, select rowferry.detach(%L); and attach it again; rules also by select rowferry.set_rules(%1$L, ..).', v_entity.name);
    end if;
    if v_kept is distinct from row(v_entity.filter, v_entity.filter_columns, v_entity.filter_types) then
      v_entity.filter := v_kept.o_filter;
      v_entity.filter_columns := v_kept.o_columns;
      v_entity.filter_types := v_kept.o_types;
      v_statements := array[format('update rowferry.entities set filter = %L, filter_columns = %L, filter_types = %L where id = %s', v_entity.filter, v_entity.filter_columns,
        v_entity.filter_types, v_entity.id)];
    end if;
    v_statements := v_statements || array(
      select format('update rowferry.entities set relation_name = %L, relation_oid = %s where id = %s', p_table::text, p_table::oid, v_entity.id)
      where (v_entity.relation_name, v_entity.relation_oid) is distinct from (p_table::text, p_table::oid)
      union all select rowferry._triggers_sql(v_entity, p_guard_only => true) union all select rowferry._refresh_sql(v_entity));
  end if;
  if v_statements is null or v_statements = '{}' then
    v_entity := rowferry._plan_entity(p_table, p_entity, p_columns, p_key, p_peer, p_outbound);
    if not p_dry_run then
      -- Planned again under the lock: the table may have changed before it was granted.
      perform rowferry._lock_table(p_table);
      v_entity := rowferry._plan_entity(p_table, p_entity, p_columns, p_key, p_peer, p_outbound);
    end if;
    v_entity.conflict_rule := p_conflict_rule;
    v_entity.orphan_rule := p_orphan_rule;
    v_entity.truncate_rule := p_truncate;
    v_entity.direction := p_direction;
    v_kept := rowferry._check_filter(p_table, p_filter);
    v_entity.filter := v_kept.o_filter;
    v_entity.filter_columns := v_kept.o_columns;
    v_entity.filter_types := v_kept.o_types;
    v_entity.filter_left := p_filter_left;
    v_entity.inbound := p_inbound;
    v_entity.on_apply := p_on_apply;
    perform rowferry._check_rules(v_entity);
    perform rowferry._check_trigger_names(v_entity);
    v_statements := array(select rowferry._attach_sql(v_entity));
  end if;
  foreach v_statement in array v_statements loop
    if p_dry_run then
      return next v_statement || ';';
    else
      execute v_statement;
    end if;
  end loop;
  if v_warning is not null then
    raise warning using message = v_warning, hint = 'Update the server to its latest minor version, or use no MERGE on tables that are kept in sync.';
  end if;
  if not p_dry_run then
    perform rowferry._let_dump();
    return next format('%s: %s is kept in sync with %s, key %s, %s columns', v_entity.name, p_table, v_entity.peer,
      array_to_string(v_entity.key_columns, ', '), cardinality(v_entity.columns));
  end if;
end
$$;
comment on function rowferry.attach(regclass, text, jsonb, text[], text, text, text, text, text, text, text, text, text, text, boolean) is
  'Keeps a table in sync with the peer. p_dry_run => true returns the DDL instead of running it.';
revoke all on function rowferry.attach(regclass, text, jsonb, text[], text, text, text, text, text, text, text, text, text, text, boolean) from public;
