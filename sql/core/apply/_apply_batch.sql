-- Applies a batch of the peer: all at once if possible, without the rows that a user has locked, and else part by part, so that a row
-- that is refused stops none but itself. o_refusals: what was refused (with sqlstate) or found locked (without); what was not tried is
-- in neither list and stays with the sender, uncounted. p_waiting: entities of which the sender has changes that are older and come later.
create or replace function rowferry._apply_batch(
  p_peer text,
  p_ids int8multirange,
  p_sections rowferry._section[],
  p_heard int8multirange,
  p_waiting text[],
  out o_taken int8multirange,
  out o_refusals jsonb,
  out o_conflicts jsonb,
  out o_applied integer,
  out o_refused integer,
  out o_untried integer,
  out o_records integer
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_known int8multirange := coalesce((
    select range_agg(r) from rowferry.taken_batches t cross join lateral unnest(t.ids) r where t.peer = p_peer), '{}');
  v_sections rowferry._section[] := '{}';
  v_section rowferry._section;
  v_order text[];
  v_index integer;
  v_attempt record;
  v_left jsonb := '[]';
  v_apart jsonb;
  v_positions integer[];
  v_unaltered record;
  v_patient boolean := rowferry._patient();
  v_locked boolean := false;
  v_created boolean;
  v_deletes_first boolean := false;
  v_needs jsonb;
  v_waiting text[];
  v_state text;
begin
  o_conflicts := '[]';
  o_refusals := '[]';
  o_applied := 0;
  o_records := 0;
  -- Parents first: of one entity, those that came along with a child are in a later section.
  v_order := array(select distinct (p_sections[i]).entity from generate_subscripts(p_sections, 1) i);
  if cardinality(v_order) > 1 then
    v_order := rowferry._parents_first(v_order);
  end if;
  for v_index in
    select i from generate_subscripts(p_sections, 1) i order by array_position(v_order, (p_sections[i]).entity), i desc
  loop
    o_records := o_records + coalesce(cardinality((p_sections[v_index]).keys), 0) + coalesce(cardinality((p_sections[v_index]).gone), 0)
      + coalesce(cardinality((p_sections[v_index]).asked), 0);
    v_apart := rowferry._why_not_understood(p_peer, p_sections[v_index]);
    if v_apart is not null then
      o_refusals := o_refusals || v_apart;
      v_left := v_left || rowferry._as_not_taken(p_sections[v_index], '{"apart": true}');
      continue;
    end if;
    v_positions := case when (p_sections[v_index]).keys is not null then rowferry._differing_types((p_sections[v_index]).entity, (p_sections[v_index]).types) end;
    if v_positions is not null then
      -- Before anything is decided or written: a value that this node's types would alter is no news of the peer's.
      select * into v_unaltered from rowferry._leave_altered(p_sections[v_index], v_positions);
      v_left := v_left || v_unaltered.o_left;
      v_section := v_unaltered.o_section;
      if coalesce(v_section.keys, v_section.gone, v_section.asked) is not null then
        v_sections := v_sections || case when v_section.event_hops is null then array[v_section] else rowferry._by_hops(v_section) end;
      end if;
    elsif (p_sections[v_index]).event_hops is null then
      v_sections := v_sections || p_sections[v_index];
    else
      v_sections := v_sections || rowferry._by_hops(p_sections[v_index]);
    end if;
  end loop;

  if v_patient then
    -- Without waiting; what is written then has been locked.
    v_locked := true;
    select l.o_sections, v_left || l.o_left into v_sections, v_left from rowferry._leave_locked(v_sections) l;
  end if;

  while cardinality(v_sections) > 0 loop
    v_waiting := rowferry._still_waiting(p_waiting, '{}', v_left);
    v_attempt := rowferry._try_sections(p_peer, v_sections, p_heard, v_known, v_waiting, v_deletes_first, null, coalesce(v_needs, '[]') <> '[]', v_needs);
    v_state := v_attempt.o_error ->> 'sqlstate';
    -- From here on as rows that may be there.
    v_created := false;
    for i in 1 .. cardinality(v_sections) loop
      v_created := v_created or coalesce(v_sections[i].created, false);
      if v_state is not null then
        v_sections[i].created := false;
      end if;
    end loop;
    continue when v_state = '23505' and v_created;
    if v_state <> '55P03' and v_needs is null then
      v_needs := rowferry._needs(v_sections);
      -- Again at once: in an order in which unique values become free, and after what is deleted; or a user was faster with this key.
      if v_state in ('23505', '23P01') then
        v_deletes_first := true;
        continue;
      end if;
    end if;
    if v_state is null then
      o_conflicts := v_attempt.o_conflicts;
      v_left := v_left || v_attempt.o_busy;
      o_applied := o_applied + rowferry._record_count(v_sections) - rowferry._not_taken_count(v_attempt.o_busy);
      exit;
    elsif v_state = '55P03' and not v_locked then
      v_locked := true;
      perform set_config('lock_timeout', '5ms', true);  -- it counts for each lock, and somebody has one
      select l.o_sections, v_left || l.o_left into v_sections, v_left from rowferry._leave_locked(v_sections) l;
    elsif v_state = '55P03' and rowferry._record_count(v_sections) = 1 then
      v_left := v_left || rowferry._as_not_taken(v_sections[1]);
      exit;
    elsif v_state = '23503' and v_deletes_first and v_needs <> '[]' then
      v_deletes_first := false;
    else
      v_attempt := rowferry._apply_piecewise(p_peer, v_sections, p_heard, v_known, v_waiting, v_state, v_needs);
      o_conflicts := v_attempt.o_conflicts;
      v_left := v_left || v_attempt.o_left;
      o_refusals := o_refusals || v_attempt.o_whole;
      o_applied := o_applied + v_attempt.o_applied;
      exit;
    end if;
  end loop;
  -- What is not written here may not be acknowledged.
  if o_applied + rowferry._not_taken_count(v_left) <> o_records then
    raise exception using errcode = 'XX000', message = 'a record of the batch was neither applied nor left',
      detail = format('%s applied, %s left, %s in the batch.', o_applied, rowferry._not_taken_count(v_left), o_records),
      hint = 'Nothing was applied. This is a defect of rowferry: please report it with the version that select rowferry.version() shows.';
  end if;

  select o_refusals || coalesce(jsonb_agg(l), '[]') into o_refusals
  from jsonb_array_elements(v_left) l where not l ?| array['apart', 'untried'];
  if o_refusals @? '$[*] ? (@.sqlstate == "23505" || @.sqlstate == "23P01")' then
    o_refusals := rowferry._with_holders(o_refusals, p_sections);
  end if;
  o_taken := p_ids;
  if v_left <> '[]' then
    for i in 1 .. cardinality(p_sections) loop
      v_section := p_sections[i];
      o_taken := o_taken - coalesce((
        select range_agg(int8range(e.id, e.id, '[]'))
        from unnest(v_section.event_keys, v_section.event_ids) e (record_id, id)
        where (e.record_id in (
          select coalesce(r.record_id, l ->> 'record_id')
          from jsonb_array_elements(v_left) l
          left join lateral unnest((l ->> 'records')::text[]) r (record_id) on true
          where l ->> 'entity' = v_section.entity)) is true), '{}');
    end loop;
  end if;
  select rowferry._not_taken_count(coalesce(jsonb_agg(l) filter (where l ?| array['apart', 'sqlstate']), '[]')),
    rowferry._not_taken_count(coalesce(jsonb_agg(l) filter (where l ? 'untried'), '[]'))
  into o_refused, o_untried
  from jsonb_array_elements(v_left) l;
end
$$;
comment on function rowferry._apply_batch(text, int8multirange, rowferry._section[], int8multirange, text[]) is 'Applies a batch of the peer, all of it that this node accepts.';
