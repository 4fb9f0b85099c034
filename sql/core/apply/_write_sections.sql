create or replace function rowferry._write_sections(
  p_sections rowferry._section[],
  p_first rowferry._section[],
  p_in_order boolean
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_sections rowferry._section[];
  v_entity text;
  v_cycle integer;
  v_section_hops smallint;
  v_hops smallint := 1;
  v_step text;
  v_index integer;
  v_asked boolean := false;
  v_ordered record;
  v_aside jsonb;
  v_together integer[];
  v_done integer[];
  -- Before PostgreSQL 18 a deferred trigger has the rights of whoever makes it fire: with tables of several owners, each fires its own.
  v_many boolean := cardinality(p_sections) > 1;
  v_each boolean := v_many and current_setting('server_version_num')::integer < 180000 and (
    select count(distinct c.relowner) > 1
    from generate_subscripts(p_sections, 1) i join rowferry.entities e on e.name = (p_sections[i]).entity join pg_class c on c.oid = e.relation);
begin
  if v_many and (select count(distinct (p_sections[i]).entity) from generate_subscripts(p_sections, 1) i) < cardinality(p_sections) then
    p_sections := rowferry._joined(p_sections);
  end if;
  foreach v_step in array case when p_first is null then array['apply', 'delete'] else array['first'] end loop
    v_sections := case v_step when 'first' then p_first else p_sections end;
    v_done := '{}';
    for i in 1 .. cardinality(v_sections) loop
      v_asked := v_asked or (v_sections[i]).asked is not null;
      v_index := case v_step when 'apply' then i else cardinality(v_sections) + 1 - i end;
      continue when v_index = any (v_done) or case v_step when 'apply' then (v_sections[v_index]).keys is null else (v_sections[v_index]).gone is null end;
      v_entity := (v_sections[v_index]).entity;
      v_section_hops := coalesce((v_sections[v_index]).hops, 0) + 1;
      v_together := null;
      v_cycle := case when v_many then (select e.cycle from rowferry.entities e where e.name = v_entity) end;
      if v_cycle is not null then
        select array_agg(s), max(coalesce((v_sections[s]).hops, 0) + 1) into v_together, v_section_hops
        from generate_subscripts(v_sections, 1) s
        join rowferry.entities e on e.name = (v_sections[s]).entity and e.cycle = v_cycle
        where case v_step when 'apply' then (v_sections[s]).keys else (v_sections[s]).gone end is not null;
      end if;
      if v_hops <> v_section_hops then
        v_hops := v_section_hops;
        update rowferry.applying a set hops = v_hops where a.transaction_id = pg_current_xact_id() and a.entity_id = 0;
      end if;
      perform set_config('rowferry.applying', 'on', true);  -- a trigger may have turned it off
      if cardinality(v_together) > 1 then
        v_done := v_done || v_together;
        perform rowferry._write_cycle(v_cycle, v_sections, v_together, v_step <> 'apply', p_in_order);
      elsif v_step = 'apply' then
        v_aside := null;
        if p_in_order then
          v_ordered := rowferry._in_order(v_sections[v_index]);
          v_sections[v_index] := v_ordered.o_section;
          v_aside := v_ordered.o_aside;
        end if;
        execute format('select rowferry.%I($1, $2, $3)', rowferry._generated_name('apply_', v_entity))
        using (v_sections[v_index]).column_values, coalesce((v_sections[v_index]).created, false), v_aside;
      else
        execute format('select rowferry.%I($1)', rowferry._generated_name('delete_', v_entity)) using (v_sections[v_index]).gone;
      end if;
      perform rowferry._left_nothing();
      if v_each then
        perform rowferry._finish(v_sections[v_index:v_index]);
        set constraints all deferred;
      end if;
    end loop;
  end loop;
  if v_asked then
    insert into rowferry.events (changed_at, entity_id, event_type, record_id)
    select rowferry._now(), e.id, 'a', k
    from generate_subscripts(p_sections, 1) i
    join rowferry.entities e on e.name = (p_sections[i]).entity
    cross join lateral unnest((p_sections[i]).asked) k;
  end if;
end
$$;
comment on function rowferry._write_sections(rowferry._section[], rowferry._section[], boolean) is
  'Writes sections that are given parents first: upserts in this order, then deletes in the reverse order; those of a cycle of entities by one statement. '
  'p_first has deletes that are done instead of all this, because they must be done before everything else. With p_in_order, rows of a section that need '
  'unique values of each other are updated in the order in which these become free. A question is answered with an event of this node''s own row at the '
  'lowest stamp.';
