"""All SQL that the worker runs."""

UNLOCK = "select pg_advisory_unlock_all()"

BACKEND = "select pg_backend_pid()"  # another process than the one that greeted means that a pooler stands between

# What a role or a database may have set that would end or refuse the worker's calls; and how soon the server notices that nobody
# reads an answer, which keeps its transaction open: no timeout of statements ends that. Not every server knows every name.
NEUTRALISE = """
select set_config(s.name, v.value, false)
from (values ('statement_timeout', '0'), ('transaction_timeout', '0'), ('idle_session_timeout', '0'),
  ('idle_in_transaction_session_timeout', '0'), ('default_transaction_isolation', 'read committed'),
  ('search_path', 'pg_catalog, pg_temp'), ('default_transaction_deferrable', 'off'), ('tcp_user_timeout', '10s'),
  ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3')) v (name, value)
join pg_settings s using (name)"""

# Notice a dead worker within a call too, so that its lock is free for the next one. Not on every platform.
CHECK_CLIENT = "set client_connection_check_interval = '500ms'"

# Once it has freed a block of this size, the C library of most servers (glibc) keeps up to 32 MB of what a call leaves free
# (M_MMAP_THRESHOLD in mallopt(3)). Else each call gives that back to the system and takes it anew, page by page: a sixth of what
# a batch of 20,000 rows costs its sender. Where there is another C library, this changes nothing.
KEEP_MEMORY = "select octet_length(repeat(repeat(' ', 1000000), 16))"

# A call ends before the server would look for deadlocks, so that no user becomes the victim of one (R11); with patience, which
# process_batch() asks for, so many times later, and then it takes care not to wait for users itself. Returns milliseconds.
LIMIT_CALLS = """
select v.milliseconds, set_config('statement_timeout', v.milliseconds::text, false)
from pg_settings s
cross join lateral (select greatest(1, s.setting::bigint * 7 / 10) * %(patience)s::integer) v (milliseconds)
where s.name = 'deadlock_timeout'"""

# A session in which nothing is said for too long is ended, lock and all: its worker is frozen or cut off.
LIMIT_SILENCE = "select set_config('idle_session_timeout', %s::text, false)"

# Without a token: changes nothing, and says how things stand. With p_courier this session becomes courier (busy: another is).
READ = "select * from rowferry.process_batch(p_peer => %(peer)s)"
BECOME_COURIER = "select * from rowferry.process_batch(p_peer => %(peer)s, p_courier => '{}')"

# With one: a step of the exchange; with limit 0 it only says whether there is anything to do. The envelope travels as bytes (%b).
EXCHANGE = """
select *
from rowferry.process_batch(p_peer => %(peer)s, p_token => %(token)s, p_envelope => %(envelope)b, p_limit => %(limit)s::integer,
  p_courier => %(courier)s::jsonb)"""

# This look waits in the server while there is nothing to do, and looks again after each `wait` seconds, for 0.9 s.
WATCH = """
select status
from rowferry.process_batch(p_peer => %(peer)s, p_token => %(token)s, p_limit => 0, p_wait => make_interval(secs => %(wait)s))"""
