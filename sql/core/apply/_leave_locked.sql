create or replace function rowferry._leave_locked(
  p_sections rowferry._section[],
  out o_sections rowferry._section[],
  out o_left rowferry._not_taken[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_section rowferry._section;
  v_busy text[];
  v_state text;
  v_context text;
begin
  o_sections := '{}';
  o_left := '{}';
  foreach v_section in array p_sections loop
    begin
      execute format('select rowferry.%I($1)', rowferry._generated_name('lock_', v_section.entity)) into v_busy
      using v_section.keys || v_section.gone;
      perform rowferry._left_nothing();
      perform rowferry._finish_lock(v_section.entity);
    exception
      when lock_not_available then
        v_busy := v_section.keys || v_section.gone || v_section.asked;
      -- A table that cannot be read at all is found out when its rows are written, and refused by itself.
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
        if rowferry._stops_every_table(v_state, v_context) then
          raise;
        end if;
        v_busy := null;
    end;
    if v_busy is not null then
      o_left := o_left || rowferry._as_not_taken(rowferry._section_part(v_section, v_busy, true), 'locked');
      v_section := rowferry._section_part(v_section, v_busy, false);
    end if;
    if coalesce(v_section.keys, v_section.gone, v_section.asked) is not null then
      o_sections := o_sections || v_section;
    end if;
  end loop;
end
$$;
comment on function rowferry._leave_locked(rowferry._section[]) is
  'Takes out of sections the records whose rows somebody has locked. A locked table takes out the whole section.';
