-- Makes a sequence draw only values that no other node draws: every p_nodes-th, on from the node's number (in the order of the nodes' names: billing 1, 3, 5.., crm 2, 4, 6..). It goes on
-- beyond all that is known to be used on both nodes, in tables that are kept in sync. Runs with the caller's rights, who must own the sequence. Do it on both nodes, one right after the other: until then the
-- other one can draw the values that this one goes on with.
create or replace function rowferry.stagger_sequence(
  p_sequence regclass,
  p_node_number integer default null,
  p_nodes integer default 2
)
returns table (
  sequence regclass,
  increment_before bigint,
  next_before bigint,
  increment bigint,
  next_value bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
  v_sequence pg_sequence := (select s from pg_sequence s where s.seqrelid = p_sequence);
  v_known record;
  v_last bigint;
  v_beyond numeric;
begin
  select * into v_known from rowferry._staggering(p_sequence);
  p_node_number := coalesce(p_node_number, v_known.o_node_number);
  if v_sequence.seqrelid is null or v_sequence.seqincrement < 0 then
    raise exception using errcode = 'RF017', message = 'only a sequence that counts upwards can be staggered',
      detail = format('%s is none.', coalesce(p_sequence::text, 'null')),
      hint = 'select rowferry.stagger_sequence(pg_get_serial_sequence(''public.accounts'', ''id''));';
  elsif p_node_number is null or p_node_number not between 1 and p_nodes then
    raise exception using errcode = 'RF017', message = 'the number of this node is not among those of the nodes',
      detail = format('Node %s of %s.', coalesce(p_node_number::text, 'null'), p_nodes), hint = 'Give each node another p_node_number, from 1 to p_nodes.';
  end if;
  -- From here on nobody draws a value until the end of the transaction.
  execute format('alter sequence %s increment by %s', p_sequence, p_nodes);
  select * into v_known from rowferry._staggering(p_sequence);
  -- By its oid: to read it by name could be to read a view that came in its place.
  v_last := pg_sequence_last_value(p_sequence);
  increment_before := v_sequence.seqincrement;
  next_before := case when v_last is null then nextval(p_sequence) else v_last + v_sequence.seqincrement end;
  -- Rows of the peer hold values that it drew.
  v_beyond := greatest(next_before, v_known.o_peer_next, v_known.o_used + 1, v_sequence.seqmin);
  next_value := v_beyond + mod(mod(p_node_number - v_beyond, p_nodes) + p_nodes, p_nodes);
  execute format('alter sequence %s restart with %s', p_sequence, next_value);
  sequence := p_sequence;
  increment := p_nodes;
  return next;
end
$$;
comment on function rowferry.stagger_sequence(regclass, integer, integer) is
  'Makes a sequence draw only values that the other node does not draw, beyond all that are used. Do it on both nodes, one right after the other.';
revoke all on function rowferry.stagger_sequence(regclass, integer, integer) from public;
