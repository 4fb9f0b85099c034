create or replace function rowferry._check_facts(
  p_peer text,
  p_mine jsonb,
  p_theirs jsonb
)
returns setof rowferry._finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  -- found: the thing is on one node, on both, or differs in what is at this path. In the texts: %1$s, %2$s: what is at this path here and on the peer; %3$s:
  -- the peer; %4$s: the entity; %5$s, %6$s: the name of the thing here and on the peer; %7$s, %8$s: the table here and on the peer; %9$s, %10$s: where it is,
  -- and is not. In the fixes %9$s follows the table in attach(), so that it is clear which of its entities is meant; %10$s: the calls of _column_fix().
  with checks (kind, found, path, severity, problem, fix) as (
    values
      ('database', 'differs', '{encoding}', 'error', 'it is encoded in %1$s here and in %2$s on %3$s', 'Both must be UTF8.'),
      ('database', 'differs', '{order}', 'warning', 'its collation is %1$s here and %2$s on %3$s: order differs, and perhaps which texts are equal',
        'Name the collation of columns where it matters.'),
      ('database', 'differs', '{collation,version}', 'info', 'its collation has version %1$s here and %2$s on %3$s: texts may sort differently',
        'None is needed; the sync compares keys byte by byte.'),
      ('entity', 'differs', '{key}', 'error', 'the key of entity %4$s is %1$s here and %2$s on %3$s: its changes wait',
        'Attach it on both nodes with one key (p_key).'),
      ('entity', 'differs', '{key_types}', 'error', 'the key of entity %4$s is of type %1$s here and %2$s on %3$s: its changes wait',
        'Give the columns of the key one type, then attach it again.'),
      ('entity', 'differs', '{rules,conflict_rule}', 'error', 'the conflict rule of entity %4$s is %1$s here and %2$s on %3$s: its changes wait',
        'select rowferry.set_rules(%4$L, p_conflict_rule => %2$L);  -- here; or on %3$s: select rowferry.set_rules(%4$L, p_conflict_rule => %1$L);'),
      ('entity', 'differs', '{rules,orphan_rule}', 'error', 'the orphan rule of entity %4$s is %1$s here and %2$s on %3$s: its changes wait',
        'select rowferry.set_rules(%4$L, p_orphan_rule => %2$L);  -- here; or on %3$s: select rowferry.set_rules(%4$L, p_orphan_rule => %1$L);'),
      ('column', 'one', '{type}', 'error', 'column %5$s is kept in sync %9$s and not %10$s: changes of entity %4$s wait', '%10$s'),
      ('column', 'differs', '{type}', 'warning', 'column %5$s is %1$s here and %2$s on %3$s (%8$s.%6$s): a value that does not read back is held',
        'Give both columns one type: alter table .. alter column .. type ..; then attach it again.'),
      ('column', 'differs', '{collation}', 'warning', 'column %5$s has collation %1$s here and %2$s on %3$s: the two may differ about which texts are equal',
        'Give both columns one collation.'),
      ('column', 'differs', '{nulls}', 'warning', 'column %5$s is %1$s here and %2$s on %3$s: a row with null in it is refused',
        'Make it not null on both nodes, or on neither.'),
      ('unique', 'both', '{spelled}', 'info', 'both nodes can give away one value of the unique %1$s: the second row is refused',
        'A refused row waits in rowferry.sync_events; change one of the two.'),
      ('unique', 'one', '{spelled}', 'warning', '%1$s is unique %9$s (%5$s) and not %10$s: rows that come from there can be refused',
        'Make it unique on both nodes, or on neither.'),
      ('foreign key', 'one', '{spelled}', 'warning',
        'foreign key %1$s exists %9$s and not %10$s: what it refuses or does in cascade happens on one node, and goes to the other as a consequence',
        'Give both nodes the same foreign key, with the same actions.'),
      ('trigger', 'one', '{spelled}', 'warning',
        'trigger %5$s (%1$s) exists %9$s and not %10$s: it runs for rows of the other node too, and what it changes goes back as a consequence',
        'Give both nodes a trigger that does the same, or let it run for changes of its own node alone: '
          || 'alter table .. enable trigger ..; then attach() the table again.')
  ), entities as (
    select e.*, coalesce(e.mine ->> 'relation', 'entity ' || e.name) as relation, e.theirs ->> 'relation' as their_relation
    from (
      select key, m.value, t.value from jsonb_each(p_mine -> 'entities') m full join jsonb_each(p_theirs -> 'entities') t using (key)) e (name, mine, theirs)
  ), sides (entity, side, facts, apart, outbound) as (
    select e.name, s.side, s.facts, e.mine ? 'apart' or e.theirs ? 'apart', e.mine ? 'outbound' or e.theirs ? 'outbound'
    from entities e
    cross join lateral (values ('here', e.mine), ('there', e.theirs)) s (side, facts)
    where e.mine is not null and e.theirs is not null
  ), parts (kind, entity, side, match, fact) as (
    -- Two parts of an entity, one on each node, are the same thing if they match.
    select 'column', s.entity, s.side, to_jsonb(c.key),
      c.value || jsonb_build_object('name', c.value -> 'local', 'column', c.key, 'nulls',
        case c.value ->> 'required' when 'true' then 'not null' when 'false' then 'nullable' end)
    from sides s
    cross join lateral jsonb_each(s.facts -> 'columns') c
    where not s.apart
    union all
    select 'unique', s.entity, s.side, jsonb_strip_nulls(u - 'name'), jsonb_build_object('name', u -> 'name', 'spelled',
      concat_ws(' ', '(' || (select string_agg(c, ', ') from jsonb_array_elements_text(u -> 'columns') c) || ')', u ->> 'expressions',
        'where ' || (u ->> 'where')))
    from sides s
    cross join lateral jsonb_array_elements(s.facts -> 'uniques') u
    -- The columns of a view are not those of the table's constraints.
    where not s.outbound
    union all
    select 'foreign key', s.entity, s.side, jsonb_strip_nulls(f - 'table'), jsonb_build_object('spelled',
      format('(%s) references %s', (select string_agg(c, ', ') from jsonb_array_elements_text(f -> 'columns') c), f ->> 'table')
        || coalesce(' on delete ' || (a.spelled ->> (f ->> 'on_delete')), '') || coalesce(' on update ' || (a.spelled ->> (f ->> 'on_update')), ''))
    from sides s
    cross join lateral jsonb_array_elements(s.facts -> 'foreign_keys') f
    cross join (values ('{"c": "cascade", "n": "set null", "d": "set default", "r": "restrict"}'::jsonb)) a (spelled)
    where not s.outbound
    union all
    select 'trigger', s.entity, s.side, t.value, jsonb_build_object('name', t.key, 'spelled', t.value)
    from sides s
    cross join lateral jsonb_each(s.facts -> 'triggers') t
  ), things (kind, entity, mine, theirs) as (
    select 'database', null,
      p_mine || jsonb_build_object('order', concat_ws(' of provider ', p_mine #>> '{collation,name}', p_mine #>> '{collation,provider}')),
      p_theirs || jsonb_build_object('order', concat_ws(' of provider ', p_theirs #>> '{collation,name}', p_theirs #>> '{collation,provider}'))
    union all
    select 'entity', e.name, e.mine, e.theirs from entities e where e.mine is not null and e.theirs is not null
    union all
    select kind, entity, m.fact, t.fact
    from (select * from parts p where p.side = 'here') m
    full join (select * from parts p where p.side = 'there') t using (kind, entity, match)
  )
  select c.severity, coalesce(e.relation, t.kind),
    format(c.problem, v.here, v.there, p_peer, t.entity, v.name_here, v.name_there, e.relation, e.their_relation, v.one, v.other),
    format(c.fix, v.here, v.there, p_peer, t.entity, v.name_here, v.name_there, e.relation, e.their_relation, rowferry._which_entity(p_peer, t.entity),
      case when t.kind = 'column' and c.found = 'one' then
        rowferry._column_fix(p_peer, t.entity, coalesce(t.mine, t.theirs) ->> 'column', e.mine, e.theirs) end)
  from things t
  join checks c using (kind)
  left join entities e on e.name = t.entity
  cross join lateral (
    select coalesce(t.mine, t.theirs) #>> c.path::text[] as here, t.theirs #>> c.path::text[] as there,
      coalesce(t.mine, t.theirs) ->> 'name' as name_here, t.theirs ->> 'name' as name_there,
      case when t.mine is null then 'on ' || p_peer else 'here' end as one, case when t.mine is null then 'here' else 'on ' || p_peer end as other) v
  where case c.found when 'one' then t.mine is null or t.theirs is null when 'both' then t.mine is not null and t.theirs is not null else v.here <> v.there end
$$;
comment on function rowferry._check_facts(text, jsonb, jsonb) is
  'For check(): what the facts of the two nodes say differently of databases, keys, rules, columns, unique indexes, foreign keys and triggers.';
