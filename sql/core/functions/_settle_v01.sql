-- Decides the records of one section that both sides changed (R6, R7): locks their rows, reads this node's events in a newer statement,
-- and takes out of the section what stays as it is here. Events that lose are deleted here, in the subtransaction that writes the winner.
-- Under a merge rule the arbiter puts the merged row in place of the peer's, as a change of its own; the other node takes nothing before that comes.
-- o_busy: records whose rows a user has locked; o_waiting: those that wait for the arbiter; o_decided: own events that were weighed.
create or replace function rowferry._settle(
  p_peer text,
  p_section rowferry._section,
  p_heard int8multirange,
  p_known int8multirange,
  out o_section rowferry._section,
  out o_busy text[],
  out o_waiting text[],
  out o_decided int8multirange,
  out o_conflicts jsonb
)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  c_most_bytes constant bigint := 126877696;  -- of two such decisions' rows, which travel as one jsonb of less than 256 MB
  v_entity rowferry.entities := (select e from rowferry.entities e where e.name = p_section.entity);
  v_node text := (select n.name from rowferry.node n);
  v_keys text[];
  v_mine_read record;
  v_part rowferry._section;
  v_verdict record;
  v_merge_keys text[];
  v_merged record;
begin
  o_section := p_section;
  o_decided := '{}';
  o_conflicts := '[]';
  v_keys := rowferry._own_events(v_entity.id, p_section.keys || p_section.gone || p_section.asked, p_heard, '{}');
  if v_keys is null then
    return;
  end if;
  execute format('select rowferry.%I($1)', rowferry._object_name('lock_', v_entity.name)) into o_busy using v_keys;
  perform rowferry._left_nothing();
  perform rowferry._finish_lock(v_entity.name);
  if o_busy is not null then
    o_section := rowferry._section_part(o_section, o_busy, false);
    v_keys := array(select k from unnest(v_keys) k where k not in (select unnest(o_busy)));
  end if;

  -- A statement of its own: it sees what users committed while their rows were waited for.
  select
    array_agg(distinct d.record_id) filter (where d.verdict <> 'theirs') as drop_keys,
    array_agg(distinct d.record_id) filter (where d.verdict in ('mine', 'theirs', 'merge')) as conflict_keys,
    array_agg(distinct d.record_id) filter (where d.verdict = 'wait') as waiting,
    jsonb_object_agg(d.record_id, jsonb_build_object('verdict', d.verdict, 'mine', d.mine, 'theirs', d.theirs)) as verdicts,
    range_agg(d.ids) filter (where d.verdict = 'theirs') as lost,
    range_agg(d.ids) as decided
  into v_verdict
  from (
    select m.record_id, i.ids, m.mine, t.theirs,
      case
        when not t.real then 'asked'
        when t.theirs is null then 'known'
        -- A consequence, a backfill or an answer loses to a real change whatever the rule.
        when (m.mine = '-infinity') <> (t.theirs = '-infinity') then case when m.mine > t.theirs then 'mine' else 'theirs' end
        when v_entity.conflict_rule like 'node:%' then case when v_entity.conflict_rule = 'node:' || v_node then 'mine' else 'theirs' end
        when v_entity.conflict_rule like 'merge:%' then case when rowferry._is_arbiter(p_peer) then 'merge' else 'wait' end
        when (m.mine, v_node collate "C") > (t.theirs, p_peer collate "C") then 'mine'
        else 'theirs'
      end as verdict
    from (
      select e.record_id, max(rowferry._stamp(e)) as mine, array_agg(e.id) as event_ids
      from rowferry.events e
      where e.entity_id = v_entity.id and rowferry._index_key(e.record_id) = any (rowferry._index_keys(v_keys)) and e.event_type <> 'q' and not e.id <@ p_heard
      group by e.record_id
    ) m
    join (
      select e.record_id, max(e.stamp) filter (where not e.id <@ p_known) as theirs, bool_or(e.stamp is not null) as real
      from unnest(o_section.event_keys, o_section.event_ids, o_section.event_stamps) e (record_id, id, stamp)
      where e.record_id = any (v_keys)
      group by e.record_id
    ) t using (record_id)
    cross join lateral unnest(m.event_ids) x (event_id)
    cross join lateral (select int8range(x.event_id, x.event_id, '[]')) i (ids)
  ) d;
  if v_verdict.decided is null then
    return;
  end if;
  o_decided := v_verdict.decided;
  o_waiting := v_verdict.waiting;

  if v_verdict.conflict_keys is not null then
    v_part := rowferry._section_part(o_section, v_verdict.conflict_keys, true);
    execute format('select * from rowferry.%I($1, null)', rowferry._object_name('read_', v_entity.name)) into v_mine_read
    using v_verdict.conflict_keys;
    perform rowferry._left_nothing();
    if (select sum(octet_length(c)) from (select unnest(v_mine_read.o_columns || v_part.column_values) as c offset 0) v) > c_most_bytes then
      raise exception using errcode = '54000', message = 'both nodes have changed a row so large that the two together are more than 120 MB of text',
        hint = 'Give one of the two changes up, on the node that made it: select rowferry.skip(id, reason);';
    end if;
    select coalesce(jsonb_agg(jsonb_build_object('entity', v_entity.name, 'record_id', c.record_id, 'rule', v_entity.conflict_rule, 'verdict', c.verdict,
      'winner', case when c.mine_wins then v_node else p_peer end,
      'winner_row', case when c.mine_wins then c.my_row else c.their_row end,
      'loser_row', case when c.mine_wins then c.their_row else c.my_row end,
      'winner_changed_at', case when c.mine_wins then c.mine else c.theirs end,
      'loser_changed_at', case when c.mine_wins then c.theirs else c.mine end)), '[]'),
      array_agg(c.record_id) filter (where c.verdict = 'merge')
    into o_conflicts, v_merge_keys
    from (
      select k.record_id, v.verdict ->> 'verdict' as verdict, v.verdict ->> 'verdict' <> 'theirs' as mine_wins,
        (v.verdict ->> 'mine')::timestamptz as mine, (v.verdict ->> 'theirs')::timestamptz as theirs, m."row" as my_row, t."row" as their_row
      from unnest(v_verdict.conflict_keys) k (record_id)
      cross join lateral (select v_verdict.verdicts -> k.record_id) v (verdict)
      left join rowferry._rows(v_entity.columns, v_mine_read.o_keys, v_mine_read.o_columns) m using (record_id)
      left join rowferry._rows(v_entity.columns, v_part.keys, v_part.column_values) t using (record_id)
      where m."row" is distinct from t."row"
    ) c;
  end if;
  if v_verdict.lost is not null then
    perform rowferry._delete_events(v_verdict.lost);
  end if;
  if v_verdict.drop_keys is not null then
    o_section := rowferry._section_part(o_section, v_verdict.drop_keys, false);
  end if;
  if v_merge_keys is not null then
    select * into v_merged from rowferry._merge(v_entity, p_peer, v_part, v_merge_keys, o_conflicts);
    o_section := rowferry._section_with(o_section, v_merged.o_keys, v_merged.o_columns, v_merged.o_gone);
    o_decided := o_decided + v_merged.o_events;
    o_conflicts := v_merged.o_conflicts;
  end if;
end
$$;
comment on function rowferry._settle(text, rowferry._section, int8multirange, int8multirange) is
  'Decides the records of a section that both sides changed without knowing of each other.';
revoke all on function rowferry._settle(text, rowferry._section, int8multirange, int8multirange) from public;
