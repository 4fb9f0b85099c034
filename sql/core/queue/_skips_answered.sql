create or replace function rowferry._skips_answered(
  p_peer text,
  p_sections rowferry._section[],
  p_taken int8multirange,
  p_acked int8multirange
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  v_entity_id integer;
  v_keys text[];
  v_part rowferry._section;
begin
  for i in 1 .. cardinality(p_sections) loop
    v_entity_id := (select e.id from rowferry.entities e where e.name = (p_sections[i]).entity);
    continue when not rowferry._any_skip(v_entity_id);
    select array_agg(s.record_id) into v_keys
    from (select distinct k from unnest((p_sections[i]).keys || (p_sections[i]).gone) k) k
    join rowferry.skips s on s.entity_id = v_entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(k.k)
      and s.ended_at is null and s.done_at is not null;
    continue when v_keys is null;
    v_part := rowferry._section_part(p_sections[i], v_keys, true);
    update rowferry.skips s
    set ended_at = rowferry._now(), kept = false, outcome = concat_ws('; then ', s.outcome, case
      when a.changed then 'it changed here again'
      when not a.answers then format('a change of %s came', p_peer)
      when not a.gone then format('the row of %s came in its place', p_peer)
      when s.image is null then 'neither node has it'
      else format('%s has no such row, and it was deleted here', p_peer) end)
    from (
      select e.key, e.key in (select unnest(v_part.gone)) as gone, coalesce(bool_and(e.hops = -1), false) as answers,
        exists (select from rowferry.events o
          where o.entity_id = v_entity_id and rowferry._index_key(o.record_id) = rowferry._index_key(e.key) and o.event_type <> 'q'
            and not o.id <@ p_acked) as changed
      from unnest(v_part.event_keys, v_part.event_ids, v_part.event_hops, v_part.event_stamps) e (key, id, hops, stamp)
      where e.stamp is not null
      group by e.key
      having bool_and(e.id <@ p_taken)
    ) a
    where s.entity_id = v_entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(a.key) and s.ended_at is null and s.done_at is not null
      and not (s.kept and not s.may_delete and a.answers and a.gone and not a.changed)
      and not exists (select from rowferry.events q
        where q.entity_id = s.entity_id and rowferry._index_key(q.record_id) = rowferry._index_key(s.record_id) and q.event_type = 'q' and not q.id <@ p_acked);
  end loop;
end
$$;
comment on function rowferry._skips_answered(text, rowferry._section[], int8multirange, int8multirange) is
  'Ends the skips of records of which a batch of the peer was taken (p_taken): the batch had the answer, or a change in its place. It ends only skips that '
  'have been performed, and whose question the peer has heard (p_acked has the events of this node that the peer has acknowledged). A record that stays here '
  'although the peer has no such row goes on being different on purpose.';
