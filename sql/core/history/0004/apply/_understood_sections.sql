create or replace function rowferry._understood_sections(
  p_peer text,
  p_sections rowferry._section[],
  out o_sections rowferry._section[],
  out o_left rowferry._not_taken[],
  out o_refusals jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_order text[];
  v_entity rowferry.entities;
  v_section rowferry._section;
  v_index integer;
  v_apart jsonb;
  v_unaltered record;
begin
  o_sections := '{}';
  o_left := '{}';
  o_refusals := '[]';
  -- Records of an entity that were sent because a child needs them are in a later section than its others.
  if cardinality(p_sections) > 1 then
    v_order := rowferry._parents_first(array(select distinct (p_sections[i]).entity from generate_subscripts(p_sections, 1) i));
  end if;
  for v_index in
    select i from generate_subscripts(p_sections, 1) i order by array_position(v_order, (p_sections[i]).entity), i desc
  loop
    v_section := p_sections[v_index];
    v_entity := (select e from rowferry.entities e where e.name = v_section.entity and e.peer = p_peer);
    v_apart := rowferry._why_not_understood(p_peer, v_entity, v_section);
    if v_apart is not null then
      o_refusals := o_refusals || v_apart;
      o_left := o_left || rowferry._as_not_taken(v_section, 'entity');
    else
      -- Before anything is decided or written: a value that this node's types would alter is no news of the peer's.
      v_unaltered := rowferry._leave_altered(v_entity, v_section);
      v_section := v_unaltered.o_section;
      o_left := o_left || v_unaltered.o_left;
      if coalesce(v_section.keys, v_section.gone, v_section.asked) is not null then
        o_sections := o_sections || case when v_section.event_hops is null then array[v_section] else rowferry._by_hops(v_section) end;
      end if;
    end if;
  end loop;
end
$$;
comment on function rowferry._understood_sections(text, rowferry._section[]) is
  'The sections of a batch in the order in which they are written, parents first, without what cannot be understood here. o_refusals names whole entities '
  'that are not understood, and o_left their records, and records whose values this node''s types would alter.';
