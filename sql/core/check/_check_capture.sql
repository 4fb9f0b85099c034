create or replace function rowferry._check_capture(
  p_peer text
)
returns table (
  severity text,
  object text,
  problem text,
  fix text
)
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
  with wanted as (
    select e.name as entity, e.relation, d.ddl, substring(d.ddl from E'^create trigger (\\w+)') as trigger
    from rowferry.entities e
    cross join lateral rowferry._triggers_sql(e) d (ddl)
    where e.peer = coalesce(p_peer, e.peer) and d.ddl like E'create trigger rowferry\\_capture%'
      and exists (select from pg_class c where c.oid = e.relation)
  )
  select 'error', w.relation::text, f.problem, f.fix
  from wanted w
  left join pg_trigger t on t.tgrelid = w.relation and t.tgname = w.trigger
  cross join lateral (
    select format('its trigger %s is gone: changes are not captured', w.trigger) as problem,
      format('%s; alter table %s enable always trigger %s; select rowferry.backfill(%L);', regexp_replace(w.ddl, E'\\s+', ' ', 'g'), w.relation, w.trigger,
        w.entity) as fix
    where t.oid is null
    union all
    select format('its trigger %s was altered', w.trigger),
      format('drop trigger %s on %s; %s; alter table %s enable always trigger %s; select rowferry.backfill(%L);', w.trigger, w.relation,
        regexp_replace(w.ddl, E'\\s+', ' ', 'g'),
        w.relation, w.trigger, w.entity)
    where lower(regexp_replace(pg_get_triggerdef(t.oid), E'\\s+', ' ', 'g')) <> lower(regexp_replace(w.ddl, E'\\s+', ' ', 'g'))
    union all
    select case t.tgenabled when 'D' then format('its trigger %s is disabled: changes are not captured', w.trigger)
        else format('its trigger %s is not enabled always: changes of some sessions are not captured', w.trigger) end,
      format('alter table %s enable always trigger %s; select rowferry.backfill(%L);', w.relation, w.trigger, w.entity)
    where t.tgenabled <> 'A'
  ) f
  union all
  select 'error', c.tgrelid::regclass::text, format('in this partition the trigger %s is not enabled always: changes are not captured', c.tgname),
    format('alter table %s enable always trigger %s; select rowferry.backfill(%L);', c.tgrelid::regclass, c.tgname, w.entity)
  from wanted w
  join pg_trigger t on t.tgrelid = w.relation and t.tgname = w.trigger and t.tgenabled = 'A'
  join pg_trigger c on c.tgname = w.trigger and c.tgrelid in (select p.relid from pg_partition_tree(w.relation) p where p.level > 0)
  where c.tgenabled <> 'A'
  union all
  select 'warning', r.relid::regclass::text, 'TRUNCATE would empty it on this node only: it lacks the trigger that refuses it',
    format('select rowferry.attach(%L, %L);', e.relation, e.name)
  from rowferry.entities e
  cross join lateral (select p.relid from pg_partition_tree(e.relation) p union select e.relation) r
  where e.peer = coalesce(p_peer, e.peer) and e.direction <> 'receive' and exists (select from pg_class c where c.oid = e.relation)
    and not exists (select from pg_trigger t where t.tgrelid = r.relid and t.tgname = 'rowferry_truncate')
  union all
  select 'warning', t.tgrelid::regclass::text, 'TRUNCATE would empty it on this node only: the trigger that refuses it was altered or disabled',
    format('drop trigger rowferry_truncate on %s; select rowferry.attach(%L, %L);', t.tgrelid::regclass, e.relation, e.name)
  from rowferry.entities e
  cross join lateral (select p.relid from pg_partition_tree(e.relation) p union select e.relation) r
  join pg_trigger t on t.tgrelid = r.relid and t.tgname = 'rowferry_truncate'
  where e.peer = coalesce(p_peer, e.peer) and (t.tgenabled <> 'A' or t.tgfoid <> 'rowferry._refuse_truncate()'::regprocedure or t.tgtype <> 34
    or t.tgqual is not null)
  union all
  select 'error', s.srrelid::regclass::text, 'a subscription writes this table: what it writes is not captured',
    'Take it out of the publication and refresh the subscription.'
  from rowferry.entities e
  join pg_subscription_rel s on s.srrelid in (select p.relid from pg_partition_tree(e.relation) p union select e.relation)
  where e.peer = coalesce(p_peer, e.peer)
$$;
comment on function rowferry._check_capture(text) is
  'For check() and drift(): tables of which changes are not captured, or are captured otherwise than attach() made it. p_peer null: the tables of all peers.';
