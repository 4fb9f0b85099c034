create or replace function rowferry.plan_facts(
  p_peer text default null
)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
set jit = off
set lock_timeout = '2s'
as $$
declare
  v_link rowferry.links := rowferry._find_link(p_peer);
  v_tables jsonb := '{}';
  v_table record;
  v_facts jsonb;
  v_some boolean;
begin
  for v_table in
    select c.oid::regclass as relation, format('%I.%I', n.nspname, c.relname) as name, c.relname::text as short, e.id as entity_id,
      case when x.extname is not null then format('it belongs to the extension %s', x.extname)
        when starts_with(c.relname, 'alembic_version') then 'it says which migrations this database has, which is each database''s own' end as aside
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    left join rowferry.entities e on e.relation = c.oid and e.peer = v_link.peer
    left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
    left join pg_extension x on x.oid = d.refobjid
    where c.relkind in ('r', 'p', 'f') and c.relpersistence <> 't' and not c.relispartition
      and n.nspname not in ('rowferry', 'pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
    order by 2
  loop
    v_facts := jsonb_build_object('short', v_table.short, 'aside', v_table.aside, 'columns', rowferry._possible_columns(v_table.relation),
      'all', (select count(*) from pg_attribute a where a.attrelid = v_table.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''),
      'parents', (
        select jsonb_agg(jsonb_build_object('key', k.name, 'columns', k.columns, 'table', k.parent,
          'only', (select count(distinct o.id) = 1 from rowferry._foreign_keys o
            where o.relation = k.relation and o.parent_relation = k.parent_relation and not o.is_copy))
          order by k.name)
        from (
          select distinct f.id, f.name, f.columns, f.relation, f.parent_relation, format('%I.%I', n.nspname, c.relname) as parent
          from rowferry._foreign_keys f
          join pg_class c on c.oid = f.parent_relation
          join pg_namespace n on n.oid = c.relnamespace
          where f.relation = v_table.relation and f.parent_relation <> f.relation and not f.is_copy) k),
      'silent', (select jsonb_agg(u.name order by u.name) from rowferry._users_triggers(v_table.relation) u where u.id = u.root and u.enabled = 'O'));
    if v_table.entity_id is not null then
      v_facts := v_facts || (
        select jsonb_build_object('entity', e.name, 'entity_columns', e.columns, 'key', e.key_columns || e.key_types, 'conflict_rule', e.conflict_rule,
          'orphan_rule', e.orphan_rule, 'direction', e.direction, 'filtered', coalesce(e.filter, e.within) is not null)
        from rowferry.entities e where e.id = v_table.entity_id);
    elsif v_table.aside is null then
      v_facts := v_facts || rowferry._try_keys(v_table.relation, v_link.peer, v_facts -> 'columns');
      begin
        -- What attach() would refuse anyway is not asked: a foreign table might keep its own server busy.
        if v_facts ->> 'problem' is null then
          execute format('select exists (select from %s)', v_table.relation) into v_some;
          v_facts := v_facts || jsonb_build_object('filled', v_some);
        end if;
      exception
        when others then
          null;  -- such as a policy that fails for whoever plans: a plan does without it
      end;
    end if;
    v_tables := v_tables || jsonb_build_object(v_table.name, jsonb_strip_nulls(v_facts));
  end loop;
  return jsonb_build_object('node', (select n.name from rowferry.node n), 'peer', v_link.peer, 'tables', v_tables,
    'entities', (select coalesce(jsonb_agg(e.name), '[]') from rowferry.entities e));
end
$$;
comment on function rowferry.plan_facts(text) is
  'What plan() has to know of this database''s tables: their columns, the keys by which rows could be told apart, foreign keys, triggers, and why a table '
  'cannot be attached. The reasons are those of attach(), which is asked with p_dry_run. It changes nothing.';
