create or replace function rowferry._needs(
  p_sections rowferry._section[]
)
returns rowferry._need[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_sections rowferry._section[] := rowferry._joined(p_sections);
  v_section rowferry._section;
  v_cycle integer;
  v_self boolean;  -- the table refers to itself
  v_deferred text[];  -- its unique constraints that are checked at the end of the batch
  v_found record;
  v_children text[];
  v_parents text[];
  v_state text;
  v_context text;
  v_needs rowferry._need[] := '{}';
begin
  foreach v_section in array v_sections loop
    select e.cycle, exists (select from pg_constraint f where f.conrelid = e.relation and f.confrelid = e.relation and f.contype = 'f'),
      array(select i.relname from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = e.relation and not x.indimmediate)
    into v_cycle, v_self, v_deferred
    from rowferry.entities e
    where e.name = v_section.entity;
    begin
      if v_section.keys is not null then
        execute format('select * from rowferry.%I($1, $2)', rowferry._generated_name('wanting_', v_section.entity)) into v_found
        using v_section.column_values, v_section.keys;
        perform rowferry._left_nothing();
        v_needs := v_needs || array(
          select row(v_section.entity, w.record_id, v_section.entity, w.holder, '23505', w.name, case
              when w.name = any (v_deferred) then ''
              when w.holder in (select unnest(v_section.gone)) and rowferry._gives_up(v_section.entity, w.aside) then w.aside end)::rowferry._need
          from unnest(v_found.o_keys, v_found.o_holders, v_found.o_constraints, v_found.o_aside) w (record_id, holder, name, aside)
          where w.holder in (select unnest(v_section.keys || v_section.gone)));
      end if;
      if v_section.keys is not null and v_cycle is not null then
        execute format('select * from rowferry.%I($1, $2)', rowferry._generated_name('lacking_', v_section.entity)) into v_found
        using v_section.column_values, v_section.keys;
        perform rowferry._left_nothing();
        v_needs := v_needs || array(
          select row(v_section.entity, p.child, p.entity, p.record_id, '23503', null, null)::rowferry._need
          from rowferry._parents_among(rowferry._section_part(v_section, v_found.o_keys, true), v_cycle, v_sections) p
          where not p.gone and p.entity <> v_section.entity);
      end if;
      if v_section.keys is not null and v_self then
        select array_agg(p.child), array_agg(p.record_id) into v_children, v_parents
        from rowferry._parents_among(v_section, v_cycle, v_sections) p
        where p.entity = v_section.entity and p.record_id <> p.child and not p.gone;
        execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', v_section.entity)) into v_found using v_parents;
        perform rowferry._left_nothing();
        v_needs := v_needs || array(
          select row(v_section.entity, p.child, v_section.entity, p.parent, '23503', null, null)::rowferry._need
          from unnest(v_children, v_parents) p (child, parent)
          where p.parent not in (select unnest(v_found.o_keys)));
      end if;
      if v_section.gone is not null and (v_cycle is not null or v_self) then
        execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', v_section.entity)) into v_found using v_section.gone;
        perform rowferry._left_nothing();
        v_section.keys := v_found.o_keys;
        v_section.column_values := v_found.o_columns;
        v_needs := v_needs || array(
          select row(p.entity, p.record_id, v_section.entity, p.child, '23503', null, null)::rowferry._need
          from rowferry._parents_among(v_section, v_cycle, v_sections) p
          where p.gone and (p.entity, p.record_id) <> (v_section.entity, p.child));
      end if;
    exception
      -- A table that cannot be read: each of its rows is then tried by itself.
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
        if rowferry._is_transient(v_state, v_context) then
          raise;
        end if;
    end;
  end loop;
  return v_needs;
end
$$;
comment on function rowferry._needs(rowferry._section[]) is
  'Which records of sections need which others of them: one that has a unique value which they need; within a table that refers to itself, or a cycle of '
  'entities, also a parent that does not exist here yet, or, for records that are to be deleted, a child.';
