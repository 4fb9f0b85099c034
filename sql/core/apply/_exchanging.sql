create or replace function rowferry._exchanging(
  p_left rowferry._not_taken[],
  p_needs rowferry._need[]
)
returns rowferry._not_taken[]
language sql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
as $$
  with recursive needs (entity, record_id, needed_id, name) as materialized (
    select n.entity, n.record_id, n.needed_record_id, n.constraint_name from unnest(p_needs) n where n.state = '23505'
  ), refused (place, entity, record_id, refusal) as materialized (
    select row_number() over (), l.entity, r, l.refusal
    from unnest(p_left) l
    cross join lateral unnest(l.records) r
    where l.why = 'refused' and l.refusal ->> 'sqlstate' in ('23505', '23P01')
  ), reached (entity, record_id, name, needed_id, steps) as (
    -- A few rows tell.
    select r.entity, r.record_id, n.name, n.needed_id, 1
    from (select * from refused r order by r.place limit 20) r
    join needs n using (entity, record_id)
    union
    select r.entity, r.record_id, r.name, n.needed_id, r.steps + 1
    from reached r
    join needs n on n.entity = r.entity and n.record_id = r.needed_id
    where r.steps < 100 and r.needed_id <> r.record_id
  ), exchanged (entity, name, hint) as materialized (
    select e.name, r.name, case
        when f.is_key then format('select * from rowferry.retry(%1$L);  -- once one of the rows that exchange values of %2$I, which is a key of others '
            'on %3$s, has had a third value here, and that has arrived; then give it its own again',
          e.name, i.relname, n.name)
        when c.oid is not null and not c.condeferrable then format('alter table %1$s drop constraint %2$I, add constraint %2$I %3$s deferrable; '
            'select rowferry.attach(%1$L%6$s);  -- on %4$s, where it then waits for all rows that exchange its values; then here: '
            'select * from rowferry.retry(%5$L);',
          c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid), n.name, e.name, rowferry._which_entity(e.peer))
        else format('drop index %1$s; select rowferry.attach(%2$L%6$s);  -- on %3$s, where rows that exchange its values cannot come one by one; then here: '
            'select * from rowferry.retry(%4$L); and once nothing of it waits, there again: %5$s; select rowferry.attach(%2$L%6$s);',
          x.indexrelid::regclass, e.relation, n.name, e.name, pg_get_indexdef(x.indexrelid), rowferry._which_entity(e.peer)) end
    from (select distinct r.entity, r.name from reached r where r.needed_id = r.record_id) r
    cross join rowferry.node n
    join rowferry.entities e on e.name = r.entity
    join pg_index x on x.indrelid = e.relation and x.indimmediate
    join pg_class i on i.oid = x.indexrelid and i.relname = r.name
    left join pg_constraint c on c.conindid = x.indexrelid and c.conrelid = e.relation and c.contype in ('u', 'x', 'p')
    cross join lateral (select exists (
      select from pg_constraint f where f.contype = 'f' and f.conindid = x.indexrelid and f.confrelid = e.relation) as is_key) f
  ), hints (entity, record_id, hint) as materialized (
    select n.entity, n.record_id, min(e.hint) from exchanged e join needs n using (entity, name) group by n.entity, n.record_id
  )
  select array(
    select row(r.entity, array[r.record_id], 'refused', r.refusal
      || case when h.hint is null then '{}' else jsonb_build_object('hint', h.hint, 'advised', true) end)::rowferry._not_taken
    from refused r
    left join hints h using (entity, record_id)
    order by r.place)
    || array(select l from unnest(p_left) l where not (l.why = 'refused' and l.refusal ->> 'sqlstate' in ('23505', '23P01')))
$$;
comment on function rowferry._exchanging(rowferry._not_taken[], rowferry._need[]) is
  'The list of records that were not taken, where each record that waits for a unique value of a circle of rows gets a line to type that lets these rows be '
  'written: it makes the constraint wait until all rows are written, or drops the index until then.';
