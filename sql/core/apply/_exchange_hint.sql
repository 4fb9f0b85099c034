-- The line that lets rows exchange values of a constraint or a unique index (p_name) of this node: it waits until all of them have come, or is away until then.
create or replace function rowferry._exchange_hint(
  p_entity text,
  p_name text
)
returns text
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
  select case
      when f.is_key then format('select * from rowferry.retry(%1$L);  -- once one of the rows that exchange values of %2$I, which is a key of others on %3$s, has had a third value here, and that has arrived; then give it its own again',
        e.name, p_name, n.name)
      when c.oid is not null and not c.condeferrable then format('alter table %1$s drop constraint %2$I, add constraint %2$I %3$s deferrable; select rowferry.attach(%1$L);  -- on %4$s, where it then waits for all rows that exchange its values; then here: select * from rowferry.retry(%5$L);',
        c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid), n.name, e.name)
      else format('drop index %1$s; select rowferry.attach(%2$L);  -- on %3$s, where rows that exchange its values cannot come one by one; then here: select * from rowferry.retry(%4$L); and once nothing of it waits, there again: %5$s; select rowferry.attach(%2$L);',
        x.indexrelid::regclass, e.relation, n.name, e.name, pg_get_indexdef(x.indexrelid)) end
  from rowferry.entities e
  cross join rowferry.node n
  join pg_index x on x.indrelid = e.relation and x.indimmediate
  join pg_class i on i.oid = x.indexrelid and i.relname = p_name
  left join pg_constraint c on c.conindid = x.indexrelid and c.conrelid = e.relation and c.contype in ('u', 'x', 'p')
  cross join lateral (select exists (select from pg_constraint f where f.contype = 'f' and f.conindid = x.indexrelid and f.confrelid = e.relation) as is_key) f
  where e.name = p_entity
$$;
comment on function rowferry._exchange_hint(text, text) is 'The line that lets rows exchange values of a constraint or a unique index.';
