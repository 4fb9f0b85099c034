create or replace function rowferry._decide_sections(
  p_peer text,
  p_sections rowferry._section[],
  p_heard int8multirange,
  p_known int8multirange,
  out o_sections rowferry._section[],
  out o_decided int8multirange,
  out o_conflicts jsonb,
  out o_left rowferry._not_taken[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity_id integer;
  v_keys text[];
  v_decision record;
  -- Deciding one conflict takes about 25 times as long as one record of the batch has taken so far in this call. All conflicts together may take the time of
  -- one batch, a quarter of deadlock_timeout.
  v_most integer := greatest(100,
    rowferry._record_count(p_sections) * extract(epoch from current_setting('deadlock_timeout')::interval / 4 / 25)
      / greatest(0.001, extract(epoch from clock_timestamp() - statement_timestamp())));
  v_skips constant boolean := rowferry._any_skip();
  v_unsettled constant boolean := v_skips or exists (select from rowferry.entities e where e.unsettled_since is not null);
begin
  o_sections := p_sections;
  o_decided := '{}';
  o_conflicts := '[]';
  o_left := '{}';
  for i in 1 .. cardinality(o_sections) loop
    v_entity_id := rowferry._may_own_events((o_sections[i]).entity);
    continue when v_entity_id is null;
    v_keys := rowferry._unseen_changes(v_entity_id, (o_sections[i]).keys || (o_sections[i]).gone || (o_sections[i]).asked, p_heard, '{}');
    continue when v_keys is null;
    v_decision := rowferry._decide(p_peer, o_sections[i], v_keys, v_most, p_heard, p_known);
    o_sections[i] := v_decision.o_section;
    o_decided := o_decided + v_decision.o_decided;
    o_conflicts := o_conflicts || v_decision.o_conflicts;
    o_left := o_left || v_decision.o_left;
    v_most := v_most - v_decision.o_weighed;
  end loop;
  for i in 1 .. cardinality(o_sections) loop
    if v_skips and o_sections[i].gone is not null and o_sections[i].event_hops is not null then
      v_keys := rowferry._keep_given_up(o_sections[i]);
      if v_keys is not null then
        o_conflicts := rowferry._conflicts_without(o_conflicts, o_sections[i].entity, v_keys);
        o_sections[i] := rowferry._section_part(o_sections[i], v_keys, false);
      end if;
    end if;
    if v_unsettled and coalesce(o_sections[i].keys, o_sections[i].gone) is not null then
      o_conflicts := o_conflicts || rowferry._overwritten(p_peer, o_sections[i], o_conflicts);
    end if;
  end loop;
end
$$;
comment on function rowferry._decide_sections(text, rowferry._section[], int8multirange, int8multirange) is
  'Before anything is written, this decides the records that both nodes changed, as many as the time allows. It returns the sections to be written, the '
  'events of this node that were looked at, the conflicts, and the records left undecided.';
