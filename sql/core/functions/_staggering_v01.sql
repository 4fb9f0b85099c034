-- What stagger_sequence() needs to know and its caller may not read: which of two nodes this is, by name, how far the peer's sequences have come that feed the
-- same columns, and the largest value in these (null: not known). The table's owner's rights read it, so that nothing of theirs runs with those of the caller.
create or replace function rowferry._staggering(
  p_sequence regclass,
  out o_node_number integer,
  out o_peer_next numeric,
  out o_used numeric
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set array_nulls = on
as $$
declare
  v_entity rowferry.entities;
  v_used numeric;
begin
  select (select 1 + count(*) from rowferry.links l where l.peer < n.name collate "C")::integer,
    (
      select max((f.facts #>> array['entities', m.key, 'columns', c.key, 'sequence', 'next'])::numeric)
      from rowferry.peer_facts f
      cross join lateral jsonb_each(rowferry._facts(f.peer) -> 'entities') m
      cross join lateral jsonb_each(m.value -> 'columns') c
      where to_regclass(c.value #>> '{sequence,name}') = p_sequence
    )
  into o_node_number, o_peer_next
  from rowferry.node n;
  for v_entity in
    select e.* from rowferry.entities e
    where e.relation::oid in (
      select d.refobjid from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = p_sequence and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
      union
      select f.adrelid from pg_attrdef f join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid
      where d.refclassid = 'pg_class'::regclass and d.refobjid = p_sequence)
  loop
    execute format('select max((s.value ->> ''used'')::numeric) from jsonb_each(rowferry.%I()) s where to_regclass(s.value ->> ''name'') = $1',
      rowferry._object_name('sequences_', v_entity.name))
    into v_used using p_sequence;
    perform rowferry._left_nothing();
    o_used := greatest(o_used, v_used);
  end loop;
end
$$;
comment on function rowferry._staggering(regclass) is 'For stagger_sequence(): which node this is, and how far the peer''s sequence and the tables have come.';
revoke all on function rowferry._staggering(regclass) from public;
