create or replace function rowferry._check_functions(
  p_peer text
)
returns setof rowferry._finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select 'error', r.function, case when p.oid is null then 'this function of the release is gone' else 'this function is not what the release made of it' end,
    format('psql -c ''set role rowferry_owner'' -f sql/core/*/%s.sql', substring(r.function from '^(?:rowferry[.])?"?([[:alnum:]_]+)'))
  from rowferry.released r
  left join pg_proc p on p.oid = to_regprocedure(r.function)
  where p.oid is null or r.digest <> rowferry._function_digest(p.oid)
  union all
  select 'warning', p.oid::regprocedure::text, 'no release made this function', format('drop function %s;', p.oid::regprocedure)
  from pg_proc p
  where p.pronamespace = 'rowferry'::regnamespace and p.oid not in (select g.function from rowferry._generated_functions() g)
    and p.oid::regprocedure::text not in (select r.function from rowferry.released r)
  union all
  select 'error', format('rowferry.%I', d.o_function),
    case when d.o_missing then 'this function of the entity is gone'
      else 'this function is not what attach() would make: it was replaced, or a type or foreign key of the table was altered' end,
    format('select rowferry.attach(%L, %L);', e.relation, e.name)
  from rowferry.entities e
  cross join lateral rowferry._stale_functions(e) d
  where e.peer = coalesce(p_peer, e.peer) and exists (select from pg_class c where c.oid = e.relation)
    and not (rowferry._table_apart(e)).o_unusable  -- then _check_tables() says what to do
    -- The capture function serves all entities of the table.
    and not (d.o_function = rowferry._generated_name('capture_', e.name) and not d.o_missing and exists (
      select from rowferry._captured_together(e) t where (rowferry._table_apart(t)).o_unusable))
  union all
  select 'error', e.relation::text, u.problem, u.fix
  from rowferry.entities e
  cross join lateral (
    select h.o_problem, h.o_fix from rowferry._handler_problem(e) h
    union all
    select f.o_problem, f.o_fix from rowferry._filter_problem(e) f) u (problem, fix)
  where e.peer = coalesce(p_peer, e.peer) and u.problem is not null and exists (select from pg_class c where c.oid = e.relation)
$$;
comment on function rowferry._check_functions(text) is
  'For check() and drift(): functions that are not what the release or attach() made of them. If p_peer is null, those of all peers are looked at.';
