create or replace function rowferry._weigh_changes(
  p_entity rowferry.entities,
  p_peer text,
  p_section rowferry._section,
  p_keys text[],
  p_outside text[],
  p_acked int8multirange,
  p_known int8multirange,
  out o_keys text[],
  out o_verdicts text[],
  out o_mine timestamptz[],
  out o_theirs timestamptz[],
  out o_stay text[],
  out o_outside text[],
  out o_waiting text[],
  out o_beaten int8multirange,
  out o_weighed int8multirange
)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_node constant text := (select n.name from rowferry.node n);
begin
  with weighed as materialized (
    select r.record_id, array_agg(r.id) filter (where r.id is not null) as ids, max(r.mine) as mine, max(r.theirs) as theirs,
      bool_or(r.real) as real, bool_or(r.leaves) as leaves
    from (
      select e.record_id collate "C" as record_id, e.id, rowferry._stamp(e) as mine, null::timestamptz as theirs, null::boolean as real,
        e.event_type not in ('i', 'u') and e.place is null as leaves
      from rowferry.events e
      where e.entity_id = p_entity.id and rowferry._index_key(e.record_id) = any (rowferry._index_keys(p_keys)) and e.event_type <> 'q'
        and not e.id <@ p_acked
      union all
      select e.record_id collate "C", null, null, case when not e.id <@ p_known then e.stamp end, e.stamp is not null, null
      from unnest(p_section.event_keys, p_section.event_ids, p_section.event_stamps) e (record_id, id, stamp)
      where (e.record_id in (select unnest(p_keys))) is true  -- is true: by a hash of the keys, and not by a join
    ) r
    group by r.record_id
    having count(r.mine) > 0 and count(r.real) > 0
  ), decided as materialized (
    select w.record_id, w.ids, w.mine, w.theirs,
      case
        when not w.real then 'asked'
        when w.theirs is null then 'known'
        -- The peer hears nothing of these changes, so they can win nothing.
        when not w.leaves and w.record_id in (select unnest(p_outside)) then 'outside'
        else rowferry._winner(p_entity.conflict_rule, v_node, p_peer, w.mine, w.theirs)
      end as verdict
    from weighed w
  )
  select
    array_agg(d.record_id) filter (where d.verdict in ('mine', 'theirs', 'merge')),
    array_agg(d.verdict) filter (where d.verdict in ('mine', 'theirs', 'merge')),
    array_agg(d.mine) filter (where d.verdict in ('mine', 'theirs', 'merge')),
    array_agg(d.theirs) filter (where d.verdict in ('mine', 'theirs', 'merge')),
    array_agg(d.record_id) filter (where d.verdict <> 'theirs' and (d.verdict <> 'outside' or d.record_id in (select unnest(p_section.keys)))),
    array_agg(d.record_id) filter (where d.verdict = 'outside' and d.record_id in (select unnest(p_section.keys))),
    array_agg(d.record_id) filter (where d.verdict = 'wait'),
    (select range_agg(int8range(i.id, i.id, '[]')) from decided l cross join lateral unnest(l.ids) i (id) where l.verdict = 'theirs'),
    coalesce((select range_agg(int8range(i.id, i.id, '[]')) from decided l cross join lateral unnest(l.ids) i (id)), '{}')
  into o_keys, o_verdicts, o_mine, o_theirs, o_stay, o_outside, o_waiting, o_beaten, o_weighed
  from decided d;
end
$$;
comment on function rowferry._weigh_changes(rowferry.entities, text, rowferry._section, text[], text[], int8multirange, int8multirange) is
  'Weighs the changes of those records of a section that both nodes changed. o_keys, o_verdicts, o_mine and o_theirs have each conflict with the verdict of '
  '_winner() (mine, theirs, merge) and the stamps of both nodes. o_stay lists keys that are taken out of the section because the row here stays: the peer '
  'only asks, or this node has taken these events of the peer before (p_known), or this node wins, or the records are to be merged. o_outside lists keys '
  'whose row here is outside of the filter (p_outside); these are refused. o_waiting lists keys that the peer merges. o_beaten has the events of this node '
  'that lose, and o_weighed all its events of these records. p_acked has the events of this node that the peer has acknowledged. The function is VOLATILE, '
  'so that it sees what users have committed until now.';
