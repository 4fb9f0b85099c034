-- Writes decided conflicts into the log, once: both nodes may decide the same one, and each tells the other.
create or replace function rowferry._record_conflicts(
  p_peer text,
  p_decided_by text,
  p_conflicts jsonb
)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowferry.conflicts (conflict_key, peer, entity, record_id, winner, rule, winner_row, loser_row, merged_row,
    winner_changed_at, loser_changed_at, decided_at, decided_by)
  select md5(jsonb_build_array(c.entity, c.record_id, c.winner, c.winner_changed_at, c.loser_changed_at, c.winner_row, c.loser_row, c.rule)::text), p_peer, c.entity, c.record_id,
    c.winner, c.rule, nullif(c.winner_row, 'null'), nullif(c.loser_row, 'null'), nullif(c.merged_row, 'null'), c.winner_changed_at, c.loser_changed_at, rowferry._now(), p_decided_by
  from jsonb_to_recordset(p_conflicts) c (entity text, record_id text, winner text, rule text, winner_row jsonb, loser_row jsonb, merged_row jsonb,
    winner_changed_at timestamptz, loser_changed_at timestamptz)
  on conflict (conflict_key) do nothing
$$;
comment on function rowferry._record_conflicts(text, text, jsonb) is 'Writes decided conflicts into the log.';
revoke all on function rowferry._record_conflicts(text, text, jsonb) from public;
