-- Per unique index or exclusion constraint that is looked at with each row: a column that may be null for the time in which rows of one batch exchange their values. None where
-- an expression may not be null with the column, the constraint takes nulls for equal, or a check or the key of another table rests on every such column.
create or replace function rowferry._aside_columns(
  p_entity rowferry.entities
)
returns table (
  index oid,
  local text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select distinct on (i.indexrelid) i.indexrelid, c.local
  from pg_index i
  cross join lateral (
    select u.attnum, u.ord from unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality u (attnum, ord) where u.attnum <> 0
    union all
    select v.attnum, 1000 from rowferry._null_makers(i.indexprs) v (attnum)
  ) k
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum and not a.attnotnull and a.attgenerated = ''
  join pg_type t on t.oid = a.atttypid and not t.typnotnull
  join rowferry._entity_columns(rowferry._written(p_entity)) c on c.local = a.attname and c.key_position is null and not c.insert_only
  where i.indrelid = p_entity.relation and (i.indisunique or i.indisexclusion) and i.indimmediate and coalesce(to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = 'false'
    and not exists (select from pg_constraint f where f.conrelid = i.indrelid and f.contype = 'c' and a.attnum = any (f.conkey))
    and not exists (select from pg_constraint f where f.confrelid = i.indrelid and f.contype = 'f' and a.attnum = any (f.confkey))
  order by i.indexrelid, k.ord
$$;
comment on function rowferry._aside_columns(rowferry.entities) is 'Columns that may be null while rows of a batch exchange their unique values.';
