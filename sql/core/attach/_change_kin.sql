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
  v_detail text;
  v_statement text;
begin
  for v_other in
    select e.* from rowferry.entities e
    where e.within = p_new.name and (p_old.direction, p_old.filter_left) is distinct from (p_new.direction, p_new.filter_left)
    order by e.id
  loop
    begin
      perform rowferry._plan_within(v_other, v_other, null);
    exception
      when sqlstate 'RF013' then
        get stacked diagnostics v_detail = pg_exception_detail;
        raise exception using errcode = 'RF013', message = sqlerrm, detail = v_detail,
          hint = format('In one transaction: select rowferry.attach(%1$L%5$s, p_within => ''''); then what you have just typed; '
            'then select rowferry.attach(%1$L%5$s, p_within => %2$L, p_filter_left => %3$L%4$s);',
            v_other.relation::text, p_new.name, p_new.filter_left, case when p_new.direction = 'receive' then ', p_direction => ''receive''' end,
            rowferry._which_entity(v_other.peer));
    end;
  end loop;
  for v_other in select * from rowferry._kin(p_old, p_new) loop
    for v_statement in select rowferry._refresh_sql(v_other) loop
      perform rowferry._refuse_stranger(v_other.relation, format('Its functions change with those of %s, because rows of one follow those of the other.',
        p_new.relation));
      execute v_statement;
    end loop;
    perform rowferry._share_capture(v_other.relation)
    where exists (select from rowferry.entities e where e.relation = v_other.relation and e.id <> v_other.id);
  end loop;
  for v_other in select e.* from rowferry.entities e where e.cycle = p_old.cycle and e.id <> p_old.id order by e.id loop
    for v_statement in select rowferry._cycle_sql(e) from rowferry.entities e where e.id = v_other.id loop
      execute v_statement;
    end loop;
  end loop;
end
$$;
comment on function rowferry._change_kin(rowferry.entities, rowferry.entities) is
  'Makes those functions of other entities again whose text depends on an entity that changed: of entities that follow its rows or that it follows, and of '
  'those with which it forms or formed a cycle. If others could not follow it any more, it raises an error with the reason.';
