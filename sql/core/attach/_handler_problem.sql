create or replace function rowferry._handler_problem(
  p_entity rowferry.entities,
  out o_problem text,
  out o_fix text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_detail text;
begin
  if p_entity.outbound is not null then
    perform rowferry._check_outbound(p_entity);
  end if;
  perform rowferry._check_rules(p_entity);
exception
  when sqlstate 'RF013' then
    get stacked diagnostics v_detail = pg_exception_detail, o_fix = pg_exception_hint;
    o_problem := format('rows of %s cannot be read or applied: %s (%s)', p_entity.name, sqlerrm, v_detail);
end
$$;
comment on function rowferry._handler_problem(rowferry.entities) is
  'Why an entity''s rules, or its view or functions of the user''s, can serve it no longer, with what to type; null: they can, or there are none.';
