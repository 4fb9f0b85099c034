create or replace function rowferry._lacking_index(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
  select format('create index %son %s (%s);',
    case (select c.relkind from pg_class c where c.oid = p_entity.relation) when 'p' then '' else 'concurrently ' end, p_entity.relation,
    (select string_agg(quote_ident(w), ', ') from unnest(p_entity.within_columns) w))
  where p_entity.within is not null and p_entity.direction <> 'receive' and exists (
    select
    from (select p.relid from pg_partition_tree(p_entity.relation) p union select p_entity.relation) t
    join pg_class c on c.oid = t.relid and c.relkind = 'r'
    where not exists (
      select
      from pg_index i
      join pg_class x on x.oid = i.indexrelid
      join pg_am m on m.oid = x.relam and m.amname in ('btree', 'hash')
      where i.indrelid = c.oid and i.indisvalid
        and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) in (select format('(%I IS NOT NULL)', w) from unnest(p_entity.within_columns) w))
        and array(select a.attname::text from unnest(i.indkey[0:cardinality(p_entity.within_columns) - 1]) k
            join pg_attribute a on a.attrelid = c.oid and a.attnum = k order by a.attname::text collate "C")
          = array(select w from unnest(p_entity.within_columns) w order by w collate "C")))
$$;
comment on function rowferry._lacking_index(rowferry.entities) is
  'The line that makes the index by which rows are found that follow a row of the parent; null: there is one, or none is needed.';
