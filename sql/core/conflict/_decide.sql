-- Decides records of one section that both sides changed (R6, R7): locks their rows, reads this node's events in a newer statement, and takes out of the section what
-- stays as it is here. Events that lose are deleted here, in the subtransaction that writes the winner. Under a merge rule the arbiter puts the merged row in place of the
-- peer's, as a change of its own; the other node takes nothing before that comes. p_keys: records for which this node has events, of which at most p_most are looked at
-- (o_weighed). o_left: records whose rows a user has locked, that are outside here, that wait for the arbiter, or were too many; o_decided: own events that were weighed.
create or replace function rowferry._decide(
  p_peer text,
  p_section rowferry._section,
  p_keys text[],
  p_most integer,
  p_heard int8multirange,
  p_known int8multirange,
  out o_section rowferry._section,
  out o_left jsonb,
  out o_weighed integer,
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
set enable_hashagg = off  -- in the order of the records, which is that of an index on conflicts
as $$
declare
  c_bytes constant bigint := 2097152;  -- as many of the peer's rows as are about so large
  c_most_bytes constant bigint := 126877696;  -- of two such decisions' rows, which travel as one jsonb of less than 256 MB
  v_entity rowferry.entities := (select e from rowferry.entities e where e.name = p_section.entity);
  v_node text := (select n.name from rowferry.node n);
  v_keys text[] := p_keys;
  v_later text[];
  v_busy text[];
  v_outside text[];
  v_mine_read record;
  v_part rowferry._section;
  v_verdict record;
  v_merge_keys text[];
  v_merged record;
begin
  o_section := p_section;
  o_decided := '{}';
  o_conflicts := '[]';
  p_most := least(p_most, 1 + c_bytes * cardinality(p_section.keys) / (select sum(octet_length(c)) from (select unnest(p_section.column_values) as c offset 0) v));
  if cardinality(p_keys) > p_most then
    -- Each node begins at its own end: what the other one has decided meanwhile comes no more.
    v_keys := case when rowferry._merges_here(p_peer) then p_keys[:p_most] else p_keys[cardinality(p_keys) - p_most + 1:] end;
    v_later := case when rowferry._merges_here(p_peer) then p_keys[p_most + 1:] else p_keys[:cardinality(p_keys) - p_most] end;
    o_section := rowferry._section_part(o_section, v_later, false);
  end if;
  o_weighed := cardinality(v_keys);
  execute format('select rowferry.%I($1)', rowferry._generated_name('lock_', v_entity.name)) into v_busy using v_keys;
  perform rowferry._left_nothing();
  perform rowferry._finish_lock(v_entity.name);
  v_keys := array(select k from unnest(v_keys) k where k not in (select unnest(v_busy)));
  if v_entity.within is not null then
    execute format('select o_outside from rowferry.%I($1, -2)', rowferry._generated_name('read_', v_entity.name)) into v_outside using v_keys;
    perform rowferry._left_nothing();
  end if;

  -- A statement of its own: it sees what users committed while their rows were waited for.
  with weighed as materialized (
    select r.record_id, array_agg(r.id) filter (where r.id is not null) as ids, max(r.mine) as mine, max(r.theirs) as theirs, bool_or(r.real) as real, bool_or(r.leaves) as leaves
    from (
      select e.record_id collate "C" as record_id, e.id, rowferry._stamp(e) as mine, null::timestamptz as theirs, null::boolean as real, e.event_type not in ('i', 'u') and e.place is null as leaves
      from rowferry.events e
      where e.entity_id = v_entity.id and rowferry._index_key(e.record_id) = any (rowferry._index_keys(v_keys)) and e.event_type <> 'q' and not e.id <@ p_heard
      union all
      select e.record_id collate "C", null, null, case when not e.id <@ p_known then e.stamp end, e.stamp is not null, null
      from unnest(o_section.event_keys, o_section.event_ids, o_section.event_stamps) e (record_id, id, stamp)
      where (e.record_id in (select unnest(v_keys))) is true  -- which makes a hash of them, and no join
    ) r
    group by r.record_id
    having count(r.mine) > 0 and count(r.real) > 0
  ), decided as materialized (
    select w.record_id, w.ids, w.mine, w.theirs,
      case
        when not w.real then 'asked'
        when w.theirs is null then 'known'
        -- The peer hears nothing of these changes, so they can win nothing.
        when not w.leaves and w.record_id in (select unnest(v_outside)) then 'outside'
        -- A consequence, a backfill or an answer loses to a real change whatever the rule.
        when (w.mine = '-infinity') <> (w.theirs = '-infinity') then case when w.mine > w.theirs then 'mine' else 'theirs' end
        when v_entity.conflict_rule like 'node:%' then case when v_entity.conflict_rule = 'node:' || v_node then 'mine' else 'theirs' end
        when v_entity.conflict_rule like 'merge:%' then case when rowferry._merges_here(p_peer) then 'merge' else 'wait' end
        when (w.mine, v_node collate "C") > (w.theirs, p_peer collate "C") then 'mine'
        else 'theirs'
      end as verdict
    from weighed w
  )
  select
    array_agg(d.record_id) filter (where d.verdict <> 'theirs' and (d.verdict <> 'outside' or d.record_id in (select unnest(o_section.keys)))) as drop_keys,
    array_agg(d.record_id) filter (where d.verdict = 'outside' and d.record_id in (select unnest(o_section.keys))) as outside,
    array_agg(d.record_id) filter (where d.verdict in ('mine', 'theirs', 'merge')) as keys,
    array_agg(d.verdict) filter (where d.verdict in ('mine', 'theirs', 'merge')) as verdicts,
    array_agg(d.mine) filter (where d.verdict in ('mine', 'theirs', 'merge')) as mine,
    array_agg(d.theirs) filter (where d.verdict in ('mine', 'theirs', 'merge')) as theirs,
    array_agg(d.record_id) filter (where d.verdict = 'wait') as waiting,
    (select range_agg(int8range(i.id, i.id, '[]')) from decided l cross join lateral unnest(l.ids) i (id) where l.verdict = 'theirs') as lost,
    (select range_agg(int8range(i.id, i.id, '[]')) from decided l cross join lateral unnest(l.ids) i (id)) as decided
  into v_verdict
  from decided d;
  o_decided := coalesce(v_verdict.decided, '{}');

  v_part.entity := v_entity.name;
  v_part.keys := v_busy;
  o_left := rowferry._as_not_taken(v_part);
  v_part.keys := v_verdict.waiting;
  o_left := o_left || rowferry._as_not_taken(v_part, '{"waiting": true}');
  v_part.keys := v_verdict.outside;
  o_left := o_left || rowferry._as_not_taken(v_part, rowferry._explain_refusal('23514', 'the row is outside of the filter of the other node', null, rowferry._outside_hint(v_entity)));
  v_part.keys := v_later;
  o_left := o_left || rowferry._as_not_taken(v_part, '{"untried": true, "undecided": true}');

  if v_verdict.keys is not null then
    execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', v_entity.name)) into v_mine_read using v_verdict.keys;
    perform rowferry._left_nothing();
    if (select sum(octet_length(c)) from (select unnest(v_mine_read.o_columns || o_section.column_values) as c offset 0) v) > c_most_bytes then
      raise exception using errcode = '54000', message = 'both nodes have changed a row so large that the two together are more than 120 MB of text',
        hint = 'Give one of the two changes up, on the node that made it: select rowferry.skip(id, reason);';
    end if;
    o_conflicts := rowferry._conflicts_between(v_entity, v_entity.conflict_rule, p_peer, v_verdict.keys, v_verdict.verdicts, v_verdict.mine, v_verdict.theirs,
      v_mine_read.o_keys, v_mine_read.o_columns, o_section.keys, o_section.column_values);
    v_merge_keys := array(select unnest((g ->> 'records')::text[]) from jsonb_array_elements(o_conflicts) g where g ->> 'verdict' = 'merge');
    if v_merge_keys <> '{}' then
      v_part := rowferry._section_part(o_section, v_merge_keys, true);
    end if;
  end if;
  if v_verdict.lost is not null then
    -- Whether what follows these rows is within now is to be looked at all the same.
    insert into rowferry.moves (entity_id, parent_record_id, changed_at, hops)
    select c.id, w.record_id, w.changed_at, w.hops
    from (
      select distinct on (e.record_id) e.*
      from unnest(v_verdict.lost) r
      join rowferry.events e on e.id >= lower(r) and e.id < upper(r)
      where e.event_type = 'w'
      order by e.record_id, e.id desc
    ) w
    join rowferry.entities c on c.within = v_entity.name and c.direction <> 'receive'
    order by w.id, c.id;
    perform rowferry._delete_events(v_verdict.lost);
  end if;
  o_section := rowferry._section_part(o_section, v_busy || v_verdict.drop_keys, false);
  if v_merge_keys <> '{}' then
    select * into v_merged from rowferry._merge_rows(v_entity, p_peer, v_part, v_merge_keys, o_conflicts);
    o_section := rowferry._section_with(o_section, v_merged.o_keys, v_merged.o_columns, v_merged.o_gone);
    o_decided := o_decided + v_merged.o_events;
    o_conflicts := v_merged.o_conflicts;
  end if;
end
$$;
comment on function rowferry._decide(text, rowferry._section, text[], integer, int8multirange, int8multirange) is
  'Decides the records of a section that both sides changed without knowing of each other.';
