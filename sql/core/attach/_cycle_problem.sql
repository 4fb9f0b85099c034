create or replace function rowferry._cycle_problem(
  p_entity rowferry.entities,
  out o_problem text,
  out o_fix text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_cycle constant rowferry.entities[] := array(select c from rowferry._cycle(p_entity) c);
begin
  if cardinality(v_cycle) = 0 or rowferry._written_together(v_cycle) then
    return;
  end if;
  select format('its foreign keys form a cycle with %s: rows that refer to each other cannot be written here, because %s',
      (select string_agg(e.relation::text, ', ' order by e.id) from unnest(v_cycle) e where e.id <> p_entity.id),
      case when count(distinct c.relowner) > 1 then 'the tables belong to several roles'
        when count(distinct c.relnamespace) > 1 then 'the tables are in several schemas'
        else 'functions of yours have a say in what is written' end)
  into o_problem
  from unnest(v_cycle) e
  join pg_class c on c.oid = e.relation;
  -- Once these constraints are deferrable, each table of the cycle can be written after those that it still refers to.
  select string_agg(format('alter table %s alter constraint %I deferrable;', f.relation, f.name), ' ' order by c.id, f.name) into o_fix
  from unnest(v_cycle) c
  join rowferry._foreign_keys f on f.child_id = c.id and not f.deferrable and not f.is_copy
  join unnest(v_cycle) p on p.relation = f.parent_relation and p.id > c.id;
  o_fix := o_fix || format(' select rowferry.attach(%L%s);', p_entity.relation, rowferry._which_entity(p_entity.peer));
end
$$;
comment on function rowferry._cycle_problem(rowferry.entities) is
  'Why rows that refer to each other in a circle, in the tables of an entity''s cycle, could not be written here, and the way out; null: they can. One '
  'statement writes to all of these tables if they are of one owner and one schema and no function of the user''s has a say; else the constraints of the cycle '
  'have to be deferrable.';
