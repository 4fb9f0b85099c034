create or replace function rowferry._dry_run(
  p_peer text,
  p_token text,
  p_envelope bytea,
  p_limit integer,
  p_courier jsonb
)
returns rowferry._answer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_received constant bigint := (select l.received from rowferry.links l where l.peer = p_peer);
  v_answer rowferry._answer;
  v_refusal jsonb;
begin
  v_answer := rowferry._exchange(p_peer, p_token, p_envelope, p_limit, p_courier);
  for v_refusal in
    select r
    from rowferry.taken_batches t
    cross join lateral jsonb_array_elements(t.refusals) r
    where t.peer = p_peer and t.number > v_received
    limit 20
  loop
    raise notice using message = 'dry run: this node would not take a record',
      detail = format('%s %s: %s', v_refusal ->> 'entity', v_refusal ->> 'record_id', coalesce(v_refusal ->> 'message', 'the row is locked')),
      hint = coalesce(v_refusal ->> 'hint', '');
  end loop;
  raise exception using errcode = 'RF101', message = 'dry run';
exception
  when sqlstate 'RF101' then
    v_answer.envelope := null;  -- it tells of a batch that was never built
    v_answer.reason := concat_ws(': ', 'dry run, nothing was kept', v_answer.reason);
    return v_answer;
end
$$;
comment on function rowferry._dry_run(text, text, bytea, integer, jsonb) is
  'Does an exchange and takes all of it back: the answer that it would have had, and a notice for each record that this node would not take, up to 20.';
