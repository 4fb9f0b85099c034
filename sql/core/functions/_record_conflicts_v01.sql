-- Writes decided conflicts into the log, once: both nodes may decide the same one, and each tells the other. Its key is the same on both, since both have the same texts.
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
  select md5(array[g.entity, c.record_id, g.winner, c.winner_changed_at, c.loser_changed_at, c.winner_row, c.loser_row, g.rule]::text), p_peer, g.entity, c.record_id,
    g.winner, g.rule, jsonb_object(g.columns, c.winner_row::text[]), jsonb_object(g.columns, c.loser_row::text[]), jsonb_object(g.columns, c.merged_row::text[]),
    c.winner_changed_at::timestamptz, c.loser_changed_at::timestamptz, rowferry._now(), p_decided_by
  from jsonb_to_recordset(p_conflicts) g (entity text, rule text, winner text, columns text[], records jsonb, winner_rows jsonb, loser_rows jsonb, merged_rows jsonb,
    winner_changed_at jsonb, loser_changed_at jsonb)
  cross join lateral rows from (jsonb_array_elements_text(g.records), jsonb_array_elements_text(g.winner_rows), jsonb_array_elements_text(g.loser_rows),
    jsonb_array_elements_text(g.merged_rows), jsonb_array_elements_text(g.winner_changed_at), jsonb_array_elements_text(g.loser_changed_at))
    c (record_id, winner_row, loser_row, merged_row, winner_changed_at, loser_changed_at)
  on conflict (conflict_key) do nothing
$$;
comment on function rowferry._record_conflicts(text, text, jsonb) is 'Writes decided conflicts into the log.';
revoke all on function rowferry._record_conflicts(text, text, jsonb) from public;
