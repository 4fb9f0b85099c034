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
  v_known constant int8multirange := coalesce((
    select range_agg(r) from rowferry.taken_batches t cross join lateral unnest(t.ids) r where t.peer = p_peer), '{}');
  v_sections rowferry._section[];
  v_attempt record;
  v_left rowferry._not_taken[];
  v_locked boolean := false;
  v_created boolean;
  v_deletes_first boolean := false;
  v_needs rowferry._need[];
  v_waiting text[];
  v_state text;
begin
  o_conflicts := '[]';
  o_applied := 0;
  o_records := rowferry._record_count(p_sections);
  select u.o_sections, u.o_left, u.o_refusals into v_sections, v_left, o_refusals from rowferry._understood_sections(p_peer, p_sections) u;
  if rowferry._patient() then
    -- Rows are locked first, without waiting, so that no write has to wait for a user.
    v_locked := true;
    select l.o_sections, v_left || l.o_left into v_sections, v_left from rowferry._leave_locked(v_sections) l;
  end if;

  while cardinality(v_sections) > 0 loop
    v_waiting := rowferry._still_waiting(p_waiting, '{}', v_left);
    v_attempt := rowferry._try_sections(p_peer, v_sections, p_heard, v_known, v_waiting, v_needs, v_deletes_first, null);
    v_state := v_attempt.o_error ->> 'sqlstate';
    if v_state is null then
      o_conflicts := v_attempt.o_conflicts;
      v_left := v_left || v_attempt.o_busy;
      o_applied := rowferry._record_count(v_sections) - rowferry._not_taken_count(v_attempt.o_busy);
      exit;
    end if;
    -- From here on no row is written as one that cannot be there yet.
    v_created := false;
    for i in 1 .. cardinality(v_sections) loop
      v_created := v_created or coalesce(v_sections[i].created, false);
      v_sections[i].created := false;
    end loop;
    continue when v_state = '23505' and v_created;
    if v_state <> '55P03' and v_needs is null then
      v_needs := rowferry._needs(v_sections);
      -- The batch is tried again at once, in an order in which unique values become free, and after the deletes. Or a user was faster with this key.
      v_deletes_first := v_state in ('23505', '23P01');
      continue when v_deletes_first;
    end if;
    if v_state = '55P03' and not v_locked then
      v_locked := true;
      perform set_config('lock_timeout', '5ms', true);  -- for each lock; somebody holds one
      select l.o_sections, v_left || l.o_left into v_sections, v_left from rowferry._leave_locked(v_sections) l;
    elsif v_state = '55P03' and rowferry._record_count(v_sections) = 1 then
      v_left := v_left || rowferry._as_not_taken(v_sections[1], 'locked');
      exit;
    elsif v_state = '23503' and v_deletes_first and v_needs <> '{}' then
      v_deletes_first := false;
    else
      v_attempt := rowferry._apply_piecewise(p_peer, v_sections, p_heard, v_known, v_waiting, v_state, v_needs);
      o_conflicts := v_attempt.o_conflicts;
      v_left := v_left || v_attempt.o_left;
      o_refusals := o_refusals || v_attempt.o_whole;
      o_applied := v_attempt.o_applied;
      exit;
    end if;
  end loop;
  -- What is not written here may not be acknowledged.
  if o_applied + rowferry._not_taken_count(v_left) <> o_records then
    raise exception using errcode = 'XX000', message = 'a record of the batch was neither applied nor left',
      detail = format('%s applied, %s left, %s in the batch.', o_applied, rowferry._not_taken_count(v_left), o_records),
      hint = 'Nothing was applied. This is a defect of rowferry: please report it with the version that select rowferry.version() shows.';
  end if;

  o_taken := p_ids;
  o_refused := 0;
  o_untried := 0;
  if cardinality(v_left) = 0 then
    return;
  end if;
  o_refusals := o_refusals || (
    select coalesce(jsonb_agg(jsonb_build_object('entity', l.entity, 'record_id', r.record_id) || coalesce(l.refusal, '{}') order by l.place, r.place), '[]')
    from unnest(v_left) with ordinality l (entity, records, why, refusal, place)
    cross join lateral unnest(l.records) with ordinality r (record_id, place)
    where l.why in ('refused', 'locked', 'merging'));
  if o_refusals @? '$[*] ? (@.sqlstate == "23505" || @.sqlstate == "23P01")' then
    o_refusals := rowferry._with_holders(o_refusals, p_sections);
  end if;
  for i in 1 .. cardinality(p_sections) loop
    o_taken := o_taken - coalesce((
      select range_agg(int8range(e.id, e.id, '[]'))
      from unnest(p_sections[i].event_keys, p_sections[i].event_ids) e (record_id, id)
      where (e.record_id in (select unnest(l.records) from unnest(v_left) l where l.entity = p_sections[i].entity)) is true), '{}');
    -- "is true" makes it one hash of all records, not a join that compares each with each.
  end loop;
  o_refused := rowferry._not_taken_count(array(select l from unnest(v_left) l where l.why in ('refused', 'entity')));
  o_untried := rowferry._not_taken_count(array(select l from unnest(v_left) l where l.why in ('untried', 'undecided')));
end
$$;
comment on function rowferry._apply_batch(text, int8multirange, rowferry._section[], int8multirange, text[]) is
  'Applies a batch of the peer. If possible it applies all at once, without the rows that a user has locked. If not, it applies the batch piece by piece, so '
  'that a record that is refused stops no other. o_taken has the events whose records were taken. o_refusals has the records that were refused (with '
  'sqlstate) or found locked (without). A record that was not tried is in neither; it stays with the sender and does not count as a try. p_waiting names the '
  'entities of which the sender has older changes that it will send later.';
