-- What follows from a conflict, for each record of a section that the peer sent and of which this node has events of its own:
-- - The row here is locked. If a user holds its lock, the record is not taken now; the peer sends it again.
-- - If this node wins, its row and its events stay, and the peer's row is taken out of the section. It counts as taken.
-- - If the peer wins, the events of this node are deleted, in the subtransaction that writes the peer's row. If that row is refused, the events are back.
-- - Under merge the arbiter deletes nothing: it puts the merged row into the section and makes an event of its own for it. The other node refuses the
--   arbiter's own row of this record until the merged one arrives; until then the event is held on the arbiter (RF023).
-- - If the peer only asks, or this node has taken all these events of the peer before (p_known), there is no conflict: the row here stays.
-- - If the entity's rows follow a parent, and the row here has no parent that is kept in sync and was never sent, the peer's row is refused (23514).
--   Rows outside of a plain filter are refused by the function that writes them (rows/_row_checks.sql).
-- - Both rows of each conflict are returned in o_conflicts, which both nodes log. Equal rows are no conflict. Two rows of together more than 120 MB of text
--   raise 54000, because both could not be kept.
-- - Records beyond p_most, or beyond about 2 MB of the peer's rows, are left undecided; the peer sends them again.
create or replace function rowferry._decide(
  p_peer text,
  p_section rowferry._section,
  p_keys text[],
  p_most integer,
  p_acked int8multirange,
  p_known int8multirange,
  out o_section rowferry._section,
  out o_left rowferry._not_taken[],
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
set enable_hashagg = off  -- so that conflicts are in the order of the records, which is the order of the index
as $$
declare
  c_bytes constant bigint := 2097152;  -- the peer's rows that are decided in one call may have about this many bytes, but one row always may
  c_most_bytes constant bigint := 126877696;  -- of both nodes' rows: those of two decisions must fit into one jsonb, which is less than 256 MB
  v_entity rowferry.entities := (select e from rowferry.entities e where e.name = p_section.entity);
  v_keys text[] := p_keys;
  v_later text[];
  v_busy text[];
  v_outside text[];
  v_mine_read record;
  v_part rowferry._section;
  v_weighed record;
  v_merge_keys text[];
  v_merged record;
begin
  o_section := p_section;
  o_decided := '{}';
  o_conflicts := '[]';
  p_most := least(p_most, 1 + c_bytes * cardinality(p_section.keys) / (
    select sum(octet_length(c)) from (select unnest(p_section.column_values) as c offset 0) v));
  if cardinality(p_keys) > p_most then
    -- Both nodes decide at the same time, so each begins at its own end of the keys. When one reaches the middle, the other has decided the rest.
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

  -- _weigh_changes() sees what users committed while this function waited for their locks.
  v_weighed := rowferry._weigh_changes(v_entity, p_peer, o_section, v_keys, v_outside, p_acked, p_known);
  o_decided := v_weighed.o_weighed;

  v_part.entity := v_entity.name;
  v_part.keys := v_busy;
  o_left := rowferry._as_not_taken(v_part, 'locked');
  v_part.keys := v_weighed.o_waiting;
  o_left := o_left || rowferry._as_not_taken(v_part, 'merging', '{"waiting": true}');
  v_part.keys := v_weighed.o_outside;
  o_left := o_left || rowferry._as_not_taken(v_part, 'refused',
    rowferry._explain_refusal('23514', 'the other node has a row of this key that is outside of its filter, and so its own', null,
      rowferry._outside_hint(v_entity, true)) || '{"advised": true}');
  v_part.keys := v_later;
  o_left := o_left || rowferry._as_not_taken(v_part, 'undecided');

  if v_weighed.o_keys is not null then
    execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', v_entity.name)) into v_mine_read using v_weighed.o_keys;
    perform rowferry._left_nothing();
    if (select sum(octet_length(c)) from (select unnest(v_mine_read.o_columns || o_section.column_values) as c offset 0) v) > c_most_bytes then
      raise exception using errcode = '54000', message = 'both nodes have changed a row so large that the two together are more than 120 MB of text',
        hint = 'Give one of the two changes up, on the node that made it: select * from rowferry.skip(id, ''reason'');';
    end if;
    o_conflicts := rowferry._conflicts_between(v_entity, v_entity.conflict_rule, p_peer,
      v_weighed.o_keys, v_weighed.o_verdicts, v_weighed.o_mine, v_weighed.o_theirs,
      v_mine_read.o_keys, v_mine_read.o_columns, o_section.keys, o_section.column_values);
    v_merge_keys := array(select unnest((g ->> 'records')::text[]) from jsonb_array_elements(o_conflicts) g where g ->> 'verdict' = 'merge');
    if v_merge_keys <> '{}' then
      v_part := rowferry._section_part(o_section, v_merge_keys, true);
    end if;
  end if;
  perform rowferry._remove_beaten(v_entity, v_weighed.o_beaten);
  o_section := rowferry._section_part(o_section, v_busy || v_weighed.o_stay, false);
  if v_merge_keys <> '{}' then
    v_merged := rowferry._merge_rows(v_entity, p_peer, v_part, v_merge_keys, o_conflicts);
    o_section := rowferry._section_with(o_section, v_merged.o_keys, v_merged.o_columns, v_merged.o_gone);
    o_decided := o_decided + v_merged.o_events;
    o_conflicts := v_merged.o_conflicts;
  end if;
end
$$;
comment on function rowferry._decide(text, rowferry._section, text[], integer, int8multirange, int8multirange) is
  'Decides the records of one section that both nodes changed, where neither knew of the other''s change (R6, R7). It locks their rows, weighs the changes '
  'and deletes the events of this node that lose, in the subtransaction that writes the winners. It takes those records out of the section whose rows stay '
  'as they are here. Under a merge rule the arbiter puts the merged row, a change of its own, in place of the peer''s; the other node takes nothing of the '
  'record before that row arrives. p_keys lists the records of which this node has events; at most p_most of them are decided (o_weighed). p_acked has the '
  'events of this node that the peer has acknowledged, and p_known the peer''s events that this node has taken before. o_left has the records that are not '
  'taken: a user has locked the row, the row is outside of the filter here, the peer merges it, or the records were too many. o_decided has the events of '
  'this node that were weighed.';
