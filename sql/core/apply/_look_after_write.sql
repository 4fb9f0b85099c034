create or replace function rowferry._look_after_write(
  p_sections rowferry._section[],
  p_heard int8multirange,
  p_decided int8multirange,
  p_after bigint,
  p_plain boolean,
  out o_moved rowferry._not_taken[],
  out o_may_differ boolean,
  out o_lost jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity_id integer;
begin
  o_moved := '{}';
  o_lost := '[]';
  for i in 1 .. cardinality(p_sections) loop
    v_entity_id := rowferry._may_own_events((p_sections[i]).entity);
    if v_entity_id is not null then
      o_moved := o_moved || array(
        select row(p_sections[i].entity, c.keys, 'locked', null)::rowferry._not_taken
        from (select rowferry._unseen_changes(v_entity_id, (p_sections[i]).keys || (p_sections[i]).gone, p_heard, p_decided)) c (keys)
        where c.keys <> '{}');
    end if;
  end loop;
  o_may_differ := false;
  if not p_plain then
    o_may_differ := rowferry._may_differ(array(select (p_sections[i]).entity from generate_subscripts(p_sections, 1) i));
  end if;
  if o_may_differ and o_moved = '{}' then
    o_lost := rowferry._lost_in_cascade((select e.peer from rowferry.entities e where e.name = (p_sections[1]).entity), p_after, p_heard);
  end if;
end
$$;
comment on function rowferry._look_after_write(rowferry._section[], int8multirange, int8multirange, bigint, boolean) is
  'What happened while sections were written, seen by newer statements: o_moved, records that a user changed after the conflicts were decided; '
  'o_may_differ, whether their rows may be stored in another way than they were sent; o_lost, changes of this node that a cascade has taken. p_plain says '
  'that the tables are plain ones (_plain_tables).';
