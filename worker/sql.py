"""All SQL that the worker runs."""

# Of the two nodes' names, the smaller first; rowferry._courier_lock() computes the same key to show who is at work. Never blocks.
# Null: it has been taken. Else the session that has it, and the strangers that do: anybody may take any advisory lock, so one of
# a role that may not call process_batch() makes no courier. Where only such have it, the lock beside it, shared, tells that a
# courier is at work.
TRY_LOCK = """
select case when pg_try_advisory_lock(k.key) then null else (
  select array[min(h.session) filter (where not h.stranger), string_agg(h.session, ', ') filter (where h.stranger),
    case when bool_and(h.stranger) then pg_try_advisory_lock_shared(k.key # 1)::text end]
  from (
    select coalesce(format('pid %%s of %%s', a.pid, a.usename), 'a prepared transaction') as session,
      a.usesysid is not null and not exists (
        select
        from pg_roles r
        where pg_has_role(a.usesysid, r.oid, 'member') and has_function_privilege(
          r.oid, 'rowferry.process_batch(text, text, bytea, integer, jsonb, boolean)', 'execute')) as stranger
    from pg_locks l
    left join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.pid is distinct from pg_backend_pid()
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and (l.classid::bigint << 32 | l.objid::bigint) = k.key
  ) h) end
from (select hashtextextended('rowferry courier ' || %s || ' ' || %s, 0)) k (key)"""
UNLOCK = "select pg_advisory_unlock_all()"

# The process that answers; another than the one that greeted means that a pooler stands between.
BACKEND = "select pg_backend_pid()"

# What a role or a database may have set that would end or refuse the worker's calls; and how soon the server notices that the
# worker is out of reach: an answer that nobody reads keeps its transaction open and its rows locked, and no timeout of statements
# ends that. Not every server knows every name.
NEUTRALISE = """
select set_config(s.name, v.value, false)
from (values
  ('statement_timeout', '0'),
  ('transaction_timeout', '0'),
  ('idle_session_timeout', '0'),
  ('idle_in_transaction_session_timeout', '0'),
  ('default_transaction_isolation', 'read committed'),
  ('search_path', 'pg_catalog, pg_temp'),
  ('default_transaction_deferrable', 'off'),
  ('tcp_user_timeout', '10s'),
  ('tcp_keepalives_idle', '10'),
  ('tcp_keepalives_interval', '5'),
  ('tcp_keepalives_count', '3')
) v (name, value)
join pg_settings s using (name)"""

# Notice a dead worker within a call too, so that its lock is free for the next one. Not on every platform.
CHECK_CLIENT = "set client_connection_check_interval = '500ms'"

# A call ends before the server would look for deadlocks, so that no user becomes the victim of one (R11); with patience, which
# process_batch() asks for, so many times later, and then it takes care not to wait for users itself. Returns milliseconds.
LIMIT_CALLS = """
select v.milliseconds, set_config('statement_timeout', v.milliseconds::text, false)
from pg_settings s
cross join lateral (select greatest(1, s.setting::bigint * 7 / 10) * %(patience)s::integer) v (milliseconds)
where s.name = 'deadlock_timeout'"""

# A session in which nothing is said for longer than a working worker's would be is ended, lock and all: its worker is frozen
# or cut off.
LIMIT_SILENCE = "select set_config('idle_session_timeout', %(milliseconds)s::text, false)"

# Without a token: changes nothing, and says where things stand.
READ = "select * from rowferry.process_batch(p_peer => %(peer)s)"

# With one, and no events asked for: does nothing, and says at little cost whether there is anything to do.
LOOK_NAME = "rowferry_look"
LOOK = """
select status, next_id, last_id
from rowferry.process_batch(p_peer => {peer}, p_token => {token}, p_limit => 0)"""

# With one: a step of the exchange. The envelope travels as bytes (%b), not as hexadecimal text.
EXCHANGE = """
select *
from rowferry.process_batch(
  p_peer => %(peer)s,
  p_token => %(token)s,
  p_envelope => %(envelope)b,
  p_limit => %(limit)s::integer,
  p_courier => %(courier)s::jsonb
)"""
