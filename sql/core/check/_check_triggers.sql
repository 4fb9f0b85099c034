create or replace function rowferry._check_triggers(
  p_peer text
)
returns setof rowferry._finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select 'warning', u.relation::text,
    format(case
        when not u.guarded then 'its trigger %s, which is not ENABLE ALWAYS, runs for rows of %s too: it was made or replaced since attach()'
        when e.trigger_rule = 'guard' and u.enabled = 'A' then 'its trigger %s does not run for rows of %s, although it is ENABLE ALWAYS by now'
        else 'its trigger %s has a guard that it should not have' end, u.name, e.peer),
    format('select rowferry.attach(%L, %L);', e.relation, e.name)
      || case when not u.guarded then format(' or, if it is to run: alter table %s enable always trigger %I;', u.relation, u.name) else '' end
  from rowferry.entities e
  cross join lateral rowferry._users_triggers(e.relation) u
  where e.peer = p_peer and u.id = u.root and u.enabled <> 'D' and u.guarded <> (e.trigger_rule = 'guard' and e.direction <> 'send' and u.enabled = 'O')
$$;
comment on function rowferry._check_triggers(text) is
  'For check(): triggers of users that lack the guard which attach() would give them today, or have one that it would take away: they were made, replaced or '
  'altered since.';
