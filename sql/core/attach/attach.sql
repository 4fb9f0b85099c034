create or replace function rowferry.attach(
  p_table regclass,
  p_entity text default null,
  p_columns jsonb default null,
  p_key text[] default null,
  p_peer text default null,
  p_conflict_rule text default null,
  p_orphan_rule text default null,
  p_truncate text default null,
  p_direction text default null,
  p_filter text default null,
  p_filter_left text default null,
  p_outbound text default null,
  p_inbound text default null,
  p_on_apply text default null,
  p_triggers text default null,
  p_within text default null,
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
set plan_cache_mode = force_generic_plan  -- the generators ask the same again and again, and planning takes longer than the answer
set lock_timeout = '5s'
as $$
declare
  v_old rowferry.entities;
  v_new rowferry.entities;
  v_outbound text;
  v_detached integer;
  v_problem record;
  v_statement text;
  v_statements text[];
begin
  v_old := rowferry._attached(p_table, p_entity, p_peer);
  if not p_dry_run then
    -- No exchange may see the old functions at its start and the new ones at its end.
    perform rowferry._link_lock(l.peer, true) from rowferry.links l
    where l.peer in (select e.peer from rowferry.entities e where e.relation = p_table)
      or v_old.id is null and p_within is not null and l.peer = coalesce(p_peer, l.peer) order by l.peer;
    lock table rowferry.entities in share row exclusive mode;
    v_old := rowferry._attached(p_table, p_entity, p_peer);
  end if;
  v_outbound := coalesce(nullif(p_outbound, ''), case when p_outbound is null then v_old.outbound end);
  v_new := rowferry._plan_entity(p_table, p_entity, p_columns, p_key, p_peer, v_outbound, v_old);
  if not p_dry_run then
    -- Planned again under the lock: the table may have changed before it was granted. To drop triggers takes a stronger lock.
    perform rowferry._lock_table(p_table, v_old.direction <> 'receive' and p_direction = 'receive'
      or exists (select from rowferry.entities e where e.relation = p_table and e.id is distinct from v_old.id)
      or coalesce(p_triggers, v_old.trigger_rule, v_new.trigger_rule, 'guard') = 'guard' and exists (
      select from rowferry._users_triggers(p_table) u where not u.guarded and (u.constraint_name is not null or u.extensions <> '{}')));
    v_new := rowferry._plan_entity(p_table, p_entity, p_columns, p_key, p_peer, v_outbound, v_old);
    -- The table was detached in this transaction, so its events that wait are kept under the number of its entity.
    delete from rowferry.detached d where d.name = v_new.name and d.peer = v_new.peer and d.key = v_new.key_columns || v_new.key_types
    returning d.entity_id into v_detached;
    v_new.id := coalesce(v_detached, v_new.id);
  end if;
  v_new.conflict_rule := coalesce(p_conflict_rule, v_old.conflict_rule, 'newest');
  v_new.orphan_rule := coalesce(p_orphan_rule, v_old.orphan_rule, 'hold');
  v_new.truncate_rule := coalesce(p_truncate, v_old.truncate_rule, 'refuse');
  v_new.direction := coalesce(p_direction, v_old.direction, case when rowferry._is_outbox(v_new.peer) then 'send' else 'both' end);
  v_new.filter_left := coalesce(p_filter_left, v_old.filter_left, 'delete');
  v_new.inbound := coalesce(nullif(p_inbound, ''), case when p_inbound is null then v_old.inbound end);
  v_new.on_apply := coalesce(nullif(p_on_apply, ''), case when p_on_apply is null then v_old.on_apply end);
  v_new.cycle := v_old.cycle;
  v_new.trigger_rule := coalesce(p_triggers, v_old.trigger_rule, v_new.trigger_rule, 'guard');
  -- A filter that stays is proved again, with the types that its columns have now.
  select f.o_filter, f.o_columns, f.o_types into v_new.filter, v_new.filter_columns, v_new.filter_types
  from rowferry._check_filter(p_table, coalesce(nullif(p_filter, ''), case when p_filter is null then v_old.filter end), p_kept => p_filter is null) f;
  v_new := rowferry._plan_within(v_new, v_old, p_within);
  perform rowferry._check_rules(v_new);
  perform rowferry._check_trigger_names(v_new);
  -- A change of the parent before this lock is captured as one that nothing follows, and a change after it as one that these rows follow.
  if not p_dry_run then
    perform rowferry._lock_table(p.relation) from rowferry.entities p
    where p.name in (v_old.within, v_new.within) and p.direction <> 'receive' and v_old.within is distinct from v_new.within;
  end if;
  v_statements := array(select rowferry._attach_sql(v_old, v_new)) || array(select rowferry._cycle_sql(v_new));
  if p_dry_run then
    return query select s || ';' from unnest(v_statements) s;
    return query select format('-- and the functions of %s that differ then', k.name) from rowferry._kin(v_old, v_new) k;
    return query
    select format('select rowferry._share_capture(%L);', p_table)
    where exists (select from rowferry.entities e where e.relation = p_table and e.id <> v_new.id);
  else
    foreach v_statement in array v_statements loop
      execute v_statement;
    end loop;
    -- The functions of a parent name the tables whose rows follow its own, and those of such a table name the parent.
    perform rowferry._change_kin(v_old, v_new);
    if exists (select from rowferry.entities e where e.relation = p_table and e.id <> v_new.id) then
      perform rowferry._share_capture(p_table);
    end if;
  end if;
  return query select rowferry._set_guards(v_new, p_dry_run);
  for v_problem in
    -- This is said once, with the first table; check() says it every time.
    select w.message, 'Update the server to its latest minor version, or use no MERGE on tables that are kept in sync.' as hint
    from rowferry._server_warning(current_setting('server_version_num')::integer) w (message)
    where not exists (select from rowferry.entities e where e.relation <> p_table)
    union all
    select format('%s: %s', p_table, c.o_problem), c.o_fix from rowferry._cycle_problem(v_new) c where not rowferry._is_outbox(v_new.peer)
    union all
    select format('%s: its rows follow those of %s, and no index begins with (%s): all rows are searched for those that follow one',
      p_table, v_new.within, array_to_string(v_new.within_columns, ', ')), rowferry._lacking_index(v_new)
  loop
    if v_problem.message is not null and v_problem.hint is not null then
      raise warning using message = v_problem.message, hint = v_problem.hint;
    end if;
  end loop;
  if p_dry_run then
    return;
  end if;
  perform rowferry._let_dump();
  if v_old.held_until < 'infinity' then
    -- Rows that this node or the peer could not take may fit now.
    perform rowferry._end_wait(v_old.id);
  end if;
  return query select rowferry._attach_notes(v_old, v_new);
end
$$;
comment on function rowferry.attach(regclass, text, jsonb, text[], text, text, text, text, text, text, text, text, text, text, text, text, boolean) is
  'Takes a table into the sync: select rowferry.attach(''public.accounts''). If the table is attached already, it changes in place what is given, and null '
  'leaves the rest as it was. p_columns is a map from each entity column to a column of the table, or an array. p_key names entity columns of a unique '
  'index. Columns that were added to the table since are included, unless p_columns once named the columns. '''' takes a filter, a view or a function away, '
  'and ''"*"'' a list of columns. Partitions and triggers that were added since are included too, and generated functions whose text would be another today '
  'are made again. It runs with the caller''s rights. With p_dry_run it returns the DDL and does not run it. See docs/attach.md.';
