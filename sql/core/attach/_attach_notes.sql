create or replace function rowferry._attach_notes(
  p_old rowferry.entities,
  p_new rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_outbox constant boolean := rowferry._is_outbox(p_new.peer);
begin
  return next format('%s: %s %s %s, key %s, %s columns', p_new.name, p_new.relation,
    case when v_outbox then 'goes into the outbox' else 'is kept in sync with' end, p_new.peer, array_to_string(p_new.key_columns, ', '),
    cardinality(p_new.columns));
  return query
  select format('%s: does not travel: %s', p_new.name, string_agg(a.attname, ', ' order by a.attnum))
  from pg_attribute a
  where a.attrelid = p_new.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attname <> all (p_new.local_columns)
    and p_new.outbound is null
  having count(*) > 0;
  if p_old.id is not null then
    return query
    with columns as (
      select coalesce(n.name, o.name) as name, o.name is null and r.old is null as is_new, n.name is null and r.old is null as is_gone,
        o.type, n.type as type_now,
        p_old.relation_oid = p_new.relation_oid and o.number <> n.number as is_another, case when n.name = r.new then r.old end as renamed_from
      from unnest(p_old.columns, p_old.column_numbers, p_old.column_types) o (name, number, type)
      full join unnest(p_new.columns, p_new.column_numbers, p_new.column_types) n (name, number, type) using (name)
      left join (
        select o.name, n.name
        from unnest(p_old.columns, p_old.column_numbers) o (name, number)
        join unnest(p_new.columns, p_new.column_numbers) n (name, number) using (number)
        where p_old.relation_oid = p_new.relation_oid and o.name <> all (p_new.columns) and n.name <> all (p_old.columns)
      ) r (old, new) on coalesce(n.name, o.name) in (r.old, r.new)
    ), said (place, line) as (
      select 1, format('new: %s; changes wait until both nodes have attached the same columns', string_agg(c.name, ', ' order by c.name))
      from columns c where c.is_new having count(*) > 0
      union all
      select 2, format('left out: %s; changes wait until both nodes have attached the same columns', string_agg(c.name, ', ' order by c.name))
      from columns c where c.is_gone having count(*) > 0
      union all
      select 2, format('renamed: %s; changes wait until it has the new name on both nodes',
        string_agg(format('%s is %s', c.renamed_from, c.name), ', ' order by c.name))
      from columns c where c.renamed_from is not null having count(*) > 0
      union all
      select 3, format('%s is another column than it was', string_agg(c.name, ', ' order by c.name)) from columns c where c.is_another having count(*) > 0
      union all
      select 4, format('%s was of type %s and is of type %s', c.name, c.type, c.type_now) from columns c where c.type <> c.type_now
      union all
      select 5, format('what is in these columns goes with the next change of a row; of all rows at once: select * from rowferry.backfill(%L);'
        '  -- on the node whose values are to stay, once both have attached it',
        p_new.name)
      where exists (select from columns c where c.is_new or c.is_another or c.type <> c.type_now)
      union all
      select 6, format('the view is another one: its rows go with their next change; all at once: select * from rowferry.backfill(%L);', p_new.name)
      where p_old.outbound is distinct from p_new.outbound and p_new.direction <> 'receive'
      union all
      select 7, format('rows that are in the filter now go to %s with their next change; all at once: select * from rowferry.backfill(%L);',
        p_new.peer, p_new.name)
      where (p_old.filter, p_old.within) is distinct from (p_new.filter, p_new.within) and p_new.direction <> 'receive'
      union all
      select 8, format('rows that have left the filter stay on %s as they are', p_new.peer)
        || case when v_outbox then ''
          else format('; to delete there every row that is outside of this filter, also those that stand in the table here: '
              'select * from rowferry.compare(%L); and once that has finished: select * from rowferry.repair(%1$L, p_from => %L);'
              '  -- only as long as %s does not have the filter too',
            p_new.name, (select n.name from rowferry.node n), p_new.peer) end
      where (p_old.filter, p_old.within) is distinct from (p_new.filter, p_new.within) and coalesce(p_new.filter, p_new.within) is not null
        and p_new.direction <> 'receive'
      union all
      select 9, format('rows of %s outside of the filter are refused here', p_new.peer)
      where (p_old.filter, p_old.within) is distinct from (p_new.filter, p_new.within) and coalesce(p_new.filter, p_new.within) is not null
        and p_new.direction <> 'send'
      union all
      select 9, format('rows of %1$s follow these; all of them at once: select * from rowferry.backfill(%1$L); select * from rowferry.compare(%1$L);', c.name)
      from rowferry._kin(p_old, p_new) c
      where p_old.filter is distinct from p_new.filter and p_new.direction <> 'receive'
        and c.name is distinct from p_new.within and c.name is distinct from p_old.within
      union all
      select 10, case p_new.direction
          when 'receive' then format('changes here are not captured any more%s', (
            select '; ' || count(*) || ' that wait still go, as long as ' || p_new.peer || ' takes rows of it (p_direction both or receive there)'
            from rowferry.events e where e.entity_id = p_new.id having count(*) > 0))
          when 'send' then format('rows of %s are not taken any more: there p_direction => ''receive''', p_new.peer)
          else format('rows go both ways, once %s has p_direction => ''both'' too', p_new.peer) end
      where p_old.direction <> p_new.direction
      union all
      select 11, format('what was changed here until now did not travel: select * from rowferry.compare(%L);', p_new.name)
      where p_old.direction = 'receive' and p_new.direction <> 'receive'
      union all
      select 12, format('changes wait until both nodes have the same rules: select rowferry.set_rules(%L, %L, %L);  -- on %s',
        p_new.name, p_new.conflict_rule, p_new.orphan_rule, p_new.peer)
      where (p_old.conflict_rule, p_old.orphan_rule) <> (p_new.conflict_rule, p_new.orphan_rule)
      union all
      select 13, format('changes wait until the key is called %s on both nodes', array_to_string(p_new.key_columns, ', '))
      where p_old.key_columns <> p_new.key_columns
    )
    -- An outbox has no columns, rules and rows of its own that would have to fit.
    select format('%s: %s', p_new.name, split_part(s.line, case when v_outbox then '; changes wait until both nodes' else E'\n' end, 1))
    from said s
    where not v_outbox or s.place < 9
    order by s.place, s.line;
  end if;
  return query
  select format('%s: %s; to let its rows follow: %s', s.o_child, s.o_problem, s.o_fix)
  from rowferry._not_following(p_new.peer) s
  where p_new.relation in (s.o_child, s.o_parent);
  return query
  select format('%s: trigger %s will not run for rows of %s; if it is to: alter table %s enable always trigger %I; select rowferry.attach(%L%s);',
    p_new.name, u.name, p_new.peer, u.relation, u.name, p_new.relation, rowferry._which_entity(p_new.peer))
  from rowferry._users_triggers(p_new.relation) u
  where u.id = u.root and u.guarded and u.enabled = 'O';
end
$$;
comment on function rowferry._attach_notes(rowferry.entities, rowferry.entities) is
  'The lines that attach() returns. If the table was attached already, they say what is still to be done after the change, a line for each kind of it: '
  'nobody sends rows that exist already, and where both nodes must be alike, the entity waits until they are.';
