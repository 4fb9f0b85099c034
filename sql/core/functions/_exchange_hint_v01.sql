-- The way out of a unique value that another row holds, where the constraint could wait for the other row to give it up; null: it could not.
create or replace function rowferry._exchange_hint(
  p_entity text,
  p_constraint text
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('Another row holds this value on the other node: change one of the two; or, if rows exchange such values, let the constraint wait for both. There: alter table %s drop constraint %I, add constraint %2$I %s deferrable; then here: select rowferry.retry(%L);',
    c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid), e.name)
  from rowferry.entities e
  join pg_constraint c on c.conrelid = e.relation and c.conname = p_constraint and c.contype in ('u', 'x') and not c.condeferrable
  where e.name = p_entity and not exists (select from pg_constraint f where f.contype = 'f' and f.conindid = c.conindid and f.confrelid = c.conrelid)
$$;
comment on function rowferry._exchange_hint(text, text) is 'The way out of a unique value that another row holds.';
revoke all on function rowferry._exchange_hint(text, text) from public;
