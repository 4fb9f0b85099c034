-- Makes anew the functions of other entities that a change of one makes otherwise: of those that follow its rows or that it follows, and of those with which it forms or formed a cycle. Each is looked at as
-- the one before has left it.
create or replace function rowferry._change_kin(
  p_old rowferry.entities,
  p_new rowferry.entities
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_other rowferry.entities;
  v_statement text;
begin
  for v_other in select * from rowferry._kin(p_old, p_new) loop
    for v_statement in select rowferry._refresh_sql(v_other) loop
      execute v_statement;
    end loop;
  end loop;
  for v_other in select e.* from rowferry.entities e where e.cycle = p_old.cycle and e.id <> p_old.id order by e.id loop
    for v_statement in select rowferry._cycle_sql(e) from rowferry.entities e where e.id = v_other.id loop
      execute v_statement;
    end loop;
  end loop;
end
$$;
comment on function rowferry._change_kin(rowferry.entities, rowferry.entities) is 'Makes anew the functions of other entities that a change of one makes otherwise.';
revoke all on function rowferry._change_kin(rowferry.entities, rowferry.entities) from public;
