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
  select md5(concat_ws(' ', g.entity, c.record_id, g.winner, c.winner_changed_at, c.loser_changed_at,
      coalesce(c.winner_row, 'gone'), coalesce(c.loser_row, 'gone'), g.rule))::uuid,
    p_peer, g.entity, c.record_id, g.winner, g.rule,
    jsonb_object(g.columns, c.winner_row::text[]), jsonb_object(g.columns, c.loser_row::text[]), jsonb_object(g.columns, c.merged_row::text[]),
    to_timestamp(c.winner_changed_at), to_timestamp(c.loser_changed_at), rowferry._now(), p_decided_by
  from jsonb_to_recordset(p_conflicts) g (entity text, rule text, winner text, columns text[], records text, winner_rows text, loser_rows text,
    merged_rows text, winner_changed_at text, loser_changed_at text)
  cross join lateral unnest(g.records::text[], g.winner_rows::text[], g.loser_rows::text[], g.merged_rows::text[],
    g.winner_changed_at::float8[], g.loser_changed_at::float8[]) c (record_id, winner_row, loser_row, merged_row, winner_changed_at, loser_changed_at)
  on conflict (entity, rowferry._index_key(record_id), conflict_key) do nothing
$$;
comment on function rowferry._record_conflicts(text, text, jsonb) is
  'Writes decided conflicts into the log, each once: both nodes may decide the same one, and each tells the other. The key of a conflict is the same on '
  'both nodes, because both have the same texts; which of the two rows is gone is part of it.';
