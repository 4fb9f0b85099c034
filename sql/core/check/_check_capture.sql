create or replace function rowferry._check_capture(
  p_peer text
)
returns setof rowferry._finding
language sql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
as $$
  with entities as (
    select e as entity, e.name, e.relation, e.direction
    from rowferry.entities e
    where e.peer = coalesce(p_peer, e.peer) and exists (select from pg_class c where c.oid = e.relation)
  ), tables as (
    select e.name, e.relation, e.direction, r.relid::regclass as part
    from entities e
    cross join lateral (select p.relid from pg_partition_tree(e.relation) p union select e.relation) r
  ), wanted as (
    select e.name, e.relation, d.ddl, (parse_ident(substring(d.ddl from '^create trigger ("(?:[^"]|"")+"|[a-z_]+)')))[1] as trigger
    from entities e
    cross join lateral (select t from rowferry._captured_together(e.entity) t limit 1) f (entity)
    cross join lateral rowferry._triggers_sql(f.entity) t (ddl)
    cross join lateral (select regexp_replace(t.ddl, E'\\s+', ' ', 'g')) d (ddl)
    where t.ddl ~ '^create trigger "?rowferry_capture'
  )
  select 'error', w.relation::text, format(f.problem, w.trigger),
    concat_ws(' ', f.first, format('alter table %s enable always trigger %I; select rowferry.backfill(%L);', w.relation, w.trigger, w.name))
  from wanted w
  left join pg_trigger t on t.tgrelid = w.relation and t.tgname = w.trigger
  cross join lateral (
    select 'its trigger %s is gone: changes are not captured' as problem, w.ddl || ';' as first
    where t.oid is null
    union all
    select 'its trigger %s was altered', format('drop trigger %I on %s; %s;', w.trigger, w.relation, w.ddl)
    where lower(regexp_replace(pg_get_triggerdef(t.oid), E'\\s+', ' ', 'g')) <> lower(w.ddl)
    union all
    select case t.tgenabled when 'D' then 'its trigger %s is disabled: changes are not captured'
      else 'its trigger %s is not enabled always: changes of some sessions are not captured' end, null
    where t.tgenabled <> 'A'
  ) f
  union all
  select 'error', p.part::text, format('in this partition the trigger %s is not enabled always: changes are not captured', c.tgname),
    format('alter table %s enable always trigger %I; select rowferry.backfill(%L);', p.part, c.tgname, w.name)
  from wanted w
  join pg_trigger t on t.tgrelid = w.relation and t.tgname = w.trigger and t.tgenabled = 'A'
  join tables p on p.name = w.name and p.part <> w.relation
  join pg_trigger c on c.tgrelid = p.part and c.tgname = w.trigger
  where c.tgenabled <> 'A'
  union all
  select 'warning', r.part::text, 'TRUNCATE would empty it on this node only: ' || f.problem,
    concat_ws(' ', f.first, format('select rowferry.attach(%L, %L);', r.relation, r.name))
  from tables r
  left join pg_trigger t on t.tgrelid = r.part and t.tgname = 'rowferry_truncate'
  cross join lateral (
    select 'it lacks the trigger that refuses it' as problem, null as first
    where t.oid is null and r.direction <> 'receive'
    union all
    select 'the trigger that refuses it was altered or disabled', format('drop trigger rowferry_truncate on %s;', r.part)
    where t.tgenabled <> 'A' or t.tgfoid <> 'rowferry._refuse_truncate()'::regprocedure or t.tgtype <> 34 or t.tgqual is not null
  ) f
  union all
  select 'error', r.part::text, 'a subscription writes this table: what it writes is not captured',
    'Take it out of the publication and refresh the subscription.'
  from tables r
  join pg_subscription_rel s on s.srrelid = r.part
$$;
comment on function rowferry._check_capture(text) is
  'For check() and drift(): tables of which changes are not captured, or are captured otherwise than attach() set it up. If p_peer is null, the tables of '
  'all peers are looked at.';
