create or replace function rowferry._staggering(
  p_sequence regclass,
  out o_node_number integer,
  out o_nodes integer,
  out o_block bigint,
  out o_peer_next numeric,
  out o_used numeric,
  out o_problem text,
  out o_unheard text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set array_nulls = on
as $$
declare
  v_sequence jsonb := (
    select jsonb_build_object('increment', s.seqincrement, 'cycle', s.seqcycle, 'block', (
      -- This does not count if somebody has given the sequence another increment since.
      select g.block from rowferry.staggered_sequences g where g.sequence = p_sequence and mod(s.seqincrement, g.block) = 0))
    from pg_sequence s where s.seqrelid = p_sequence);
  v_entity rowferry.entities;
  v_used numeric;
begin
  o_block := coalesce(v_sequence ->> 'block', v_sequence ->> 'increment')::bigint;
  -- Also nodes that lie behind a peer draw from sequences of this name.
  select 1 + count(*) filter (where o.name < n.name collate "C"), 1 + count(*) into o_node_number, o_nodes
  from rowferry.node n
  cross join (
    select l.peer as name from rowferry.links l where l.slot is null
    union
    select b from rowferry.peer_facts f cross join lateral jsonb_array_elements_text(f.facts -> 'behind') b) o;
  select max(greatest((t.value #>> '{sequence,next}')::numeric, (t.value ->> 'used')::numeric + o_block)),
    coalesce(rowferry._stagger_problem(v_sequence, null), min(rowferry._stagger_problem(v_sequence, t.value -> 'sequence')))
  into o_peer_next, o_problem
  from rowferry.peer_facts f
  cross join lateral jsonb_each(rowferry._schema_facts(f.peer) -> 'entities') m
  cross join lateral jsonb_each(m.value -> 'columns') c
  cross join lateral (select f.facts #> array['entities', m.key, 'columns', c.key]) t (value)
  where c.value #>> '{sequence,name}' = p_sequence::text;
  for v_entity in select e.* from rowferry._fed_by(p_sequence) e loop
    execute format('select max((s.value ->> ''used'')::numeric) from jsonb_each(rowferry.%I(''{}'')) s where s.value ->> ''name'' = $1',
      rowferry._generated_name('sequences_', v_entity.name))
    into v_used using p_sequence::text;
    perform rowferry._left_nothing();
    o_used := greatest(o_used, v_used);
    if not exists (select from rowferry.peer_facts f where f.peer = v_entity.peer and f.facts #> array['entities', v_entity.name] is not null) then
      o_unheard := v_entity.peer;
    end if;
  end loop;
end
$$;
comment on function rowferry._staggering(regclass) is
  'For stagger_sequence(), whose caller may not read these tables. It returns how many nodes there are, and which of them this is, by the order of their '
  'names; for how many ids one value stands (what the sequence counted by before it was staggered); the first value beyond those of the peer''s sequences '
  'and rows for the same columns; the largest value in these columns here (null: not known); and why the sequence cannot be staggered. o_unheard is the peer '
  'that has not told of this column yet.';
