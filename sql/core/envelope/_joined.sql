create or replace function rowferry._joined(
  p_sections rowferry._section[]
)
returns rowferry._section[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set array_nulls = on
as $$
declare
  v_joined rowferry._section[] := '{}';
  v_cycles text[] := array(select e.name from rowferry.entities e where e.cycle is not null);
  v_into integer;
  v_in_cycle boolean;
begin
  for i in 1 .. cardinality(p_sections) loop
    v_into := null;
    v_in_cycle := p_sections[i].entity = any (v_cycles);
    for j in 1 .. cardinality(v_joined) loop
      if v_joined[j].entity = p_sections[i].entity and (v_in_cycle or coalesce(v_joined[j].created, false) = coalesce(p_sections[i].created, false)
        and coalesce(v_joined[j].hops, 0) = coalesce(p_sections[i].hops, 0)) then
        v_into := j;
      end if;
    end loop;
    if v_into is null then
      v_joined := v_joined || p_sections[i];
    else
      v_joined[v_into] := rowferry._section_with(v_joined[v_into], p_sections[i].keys, p_sections[i].column_values, p_sections[i].gone);
      v_joined[v_into].asked := v_joined[v_into].asked || p_sections[i].asked;
      v_joined[v_into].created := v_joined[v_into].created and p_sections[i].created;
      v_joined[v_into].hops := greatest(v_joined[v_into].hops, p_sections[i].hops);
    end if;
  end loop;
  return v_joined;
end
$$;
comment on function rowferry._joined(rowferry._section[]) is
  'Sections for writing: those of one entity are joined, because their rows may need each other. New rows stay in sections of their own, because they are '
  'written faster, and so do consequences, by their hops; but if one statement writes a whole cycle of entities, all rows of an entity are joined. The '
  'events of the sections are left out.';
