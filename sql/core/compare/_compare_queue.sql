create or replace function rowferry._compare_queue(
  p_run_id bigint,
  p_entity_id integer,
  p_keys text[],
  p_there text[]
)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  -- A person has decided about these records, which ends what skips have left open.
  select rowferry._end_skips(p_entity_id, p_there, 'the other node''s row is to stay') where p_there <> '{}' and rowferry._any_skip(p_entity_id);
  with chosen as (
    update rowferry.compared_records d
    set chosen = case when d.record_id in (select unnest(p_there)) then 'there' else 'here' end
    where d.run_id = p_run_id and d.record_key = any (rowferry._index_keys(p_keys))
    returning d.record_id, d.chosen
  ), queued as (
    insert into rowferry.events (changed_at, entity_id, event_type, record_id)
    select rowferry._now(), p_entity_id, case c.chosen when 'there' then 'q' else 'b' end::"char", c.record_id
    from chosen c
    returning id
  )
  update rowferry.comparisons c
  set resolved = c.resolved + q.events, first_event_id = q.first_id, last_event_id = q.last_id,
    walked_to = (select k from unnest(p_keys) k order by rowferry._index_key(k) collate "C" desc limit 1), step = c.step + 1, sent_at = null, unanswered = 0
  from (select count(*) as events, min(id) as first_id, max(id) as last_id from queued) q
  where c.id = p_run_id
$$;
comment on function rowferry._compare_queue(bigint, integer, text[], text[]) is
  'Queues events for differences of a comparison: a question if the peer''s row is to stay (p_there), otherwise the row of this node, or that it is gone. '
  'Both lose to any change that a user has made since.';
