create or replace function rowferry.stagger_sequence(
  p_sequence regclass,
  p_node_number integer default null,
  p_nodes integer default null
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
set quote_all_identifiers = off
set lock_timeout = '5s'
as $$
declare
  c_hint constant text := 'Give each node values of its own by hand: alter sequence %s minvalue .. maxvalue ..; or let one node draw for both.';
  v_sequence pg_sequence := (select s from pg_sequence s where s.seqrelid = p_sequence);
  v_known record;
  v_last bigint;
  v_first numeric;
  v_beyond numeric;
  v_next numeric;
begin
  select * into v_known from rowferry._staggering(p_sequence);
  p_node_number := coalesce(p_node_number, v_known.o_node_number);
  p_nodes := coalesce(p_nodes, v_known.o_nodes);
  if v_sequence.seqrelid is null then
    raise exception using errcode = 'RF017', message = 'this is no sequence',
      detail = format('%s is none.', coalesce(p_sequence::text, 'null')),
      hint = 'select rowferry.stagger_sequence(pg_get_serial_sequence(''public.accounts'', ''id''));';
  elsif v_known.o_problem is not null then
    raise exception using errcode = 'RF017', message = 'this sequence cannot be staggered', detail = format('%s: %s.', p_sequence, v_known.o_problem),
      hint = format(c_hint, p_sequence);
  elsif p_node_number is null or p_node_number not between 1 and p_nodes then
    raise exception using errcode = 'RF017', message = 'the number of this node is not among those of the nodes',
      detail = format('Node %s of %s.', coalesce(p_node_number::text, 'null'), p_nodes), hint = 'Give each node another p_node_number, from 1 to p_nodes.';
  end if;
  increment := v_known.o_block * p_nodes;
  -- From here to the end of the transaction nobody else draws a value.
  execute format('alter sequence %s increment by %s', p_sequence, increment);
  perform rowferry._note_staggered(p_sequence, v_known.o_block);
  select * into v_known from rowferry._staggering(p_sequence);
  -- The sequence is read by its oid, because a view may have taken its name.
  v_last := pg_sequence_last_value(p_sequence);
  increment_before := v_sequence.seqincrement;
  next_before := case when v_last is null then nextval(p_sequence) else v_last + v_sequence.seqincrement end;
  -- An application may use the block of ids above its value, or the one up to it.
  v_beyond := greatest(next_before, v_known.o_peer_next, v_known.o_used + v_known.o_block, v_sequence.seqmin);
  v_first := 1 + (p_node_number - 1) * v_known.o_block;
  v_next := v_beyond + mod(mod(v_first - v_beyond, increment) + increment, increment);
  if v_next + increment > v_sequence.seqmax then
    raise exception using errcode = 'RF017', message = 'this sequence cannot be staggered',
      detail = format('%s: its largest value is %s, and it would go on with %s.', p_sequence, v_sequence.seqmax, v_next), hint = format(c_hint, p_sequence);
  end if;
  next_value := v_next;
  execute format('alter sequence %s restart with %s', p_sequence, next_value);
  if v_known.o_unheard is not null then
    raise warning using message = format('%s: which values the other node has is not known yet: rows from there may hold what it is going to draw', p_sequence),
      detail = format('%s goes on with %s; %s has not told of its table.', p_sequence, next_value, v_known.o_unheard),
      hint = format('select * from rowferry.stagger_sequence(%L);  -- again, on both nodes, once its rows are here', p_sequence::text);
  end if;
  sequence := p_sequence;
  return next;
end
$$;
comment on function rowferry.stagger_sequence(regclass, integer, integer) is
  'Makes a sequence draw only values that the other node does not draw: every p_nodes-th, from the node''s number on (in the order of the nodes'' names: '
  'billing 1, 3, 5.., crm 2, 4, 6..). If the sequence counts by more than 1, each value stands for as many ids, which an application hands out by itself. '
  'Then the node gets every p_nodes-th block of ids (by 50: billing 1, 101, 201.., crm 51, 151, 251..). The sequence goes on beyond all values that are '
  'known to be used on both nodes, in tables that are kept in sync, and the function warns if the peer has not told of its values yet. It runs with the '
  'rights of the caller, who must own the sequence. Call it on both nodes, one right after the other: until then the other node can draw the values that '
  'this one goes on with.';
