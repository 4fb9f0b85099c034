-- Positions of the columns of an entity whose values may be altered on their way: the sender's type (p_types) is not the one that the column has here. Null: none, which is the common case.
create or replace function rowferry._differing_types(
  p_entity text,
  p_types text[]
)
returns integer[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select array_agg(c.ord::integer)
  from rowferry.entities e
  cross join lateral unnest(e.columns, p_types, e.column_types) with ordinality c (name, sent, here, ord)
  where e.name = p_entity and p_types <> e.column_types and c.sent is distinct from c.here
    -- Of what only goes out the key alone is written.
    and (e.outbound is null or e.inbound is not null or e.on_apply is not null or c.name = any (e.key_columns))
$$;
comment on function rowferry._differing_types(text, text[]) is 'Positions of the columns whose type on the other node is another one.';
