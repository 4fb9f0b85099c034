create or replace view rowferry._foreign_keys as
select f.oid as id, f.conname::text as name, f.conrelid::regclass as relation, f.confrelid::regclass as parent_relation,
  c.id as child_id, c.name as child, c.peer as child_peer, p.id as parent_id, p.name as parent, p.peer as parent_peer,
  array(
    select a.attname::text from unnest(f.conkey) with ordinality k (number, ord)
    join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.number order by k.ord) as columns,
  array(
    select a.attname::text from unnest(f.confkey) with ordinality k (number, ord)
    join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.number order by k.ord) as parent_columns,
  f.confdeltype as on_delete, f.confupdtype as on_update, f.condeferrable as deferrable, f.conparentid <> 0 as is_copy
from pg_constraint f
left join rowferry.entities c on c.relation = f.conrelid
left join rowferry.entities p on p.relation = f.confrelid and (c.id is null or p.peer = c.peer)
where f.contype = 'f';
comment on view rowferry._foreign_keys is
  'Every foreign key of this database, with the entity that refers and the entity that is referred to: the one place that says what depends on what. Both are '
  'of one link; of a table that is attached for several peers there is a row for each.';
comment on column rowferry._foreign_keys.id is 'Its oid in pg_constraint.';
comment on column rowferry._foreign_keys.name is 'Name of the constraint.';
comment on column rowferry._foreign_keys.relation is 'Table that refers.';
comment on column rowferry._foreign_keys.parent_relation is 'Table that is referred to.';
comment on column rowferry._foreign_keys.child_id is 'Id of the entity that refers; null: the table is not attached.';
comment on column rowferry._foreign_keys.child is 'Name of that entity.';
comment on column rowferry._foreign_keys.child_peer is 'The node with which that entity is kept in sync.';
comment on column rowferry._foreign_keys.parent_id is 'Id of the entity that is referred to; null: the table is not attached.';
comment on column rowferry._foreign_keys.parent is 'Name of that entity.';
comment on column rowferry._foreign_keys.parent_peer is 'The node with which that entity is kept in sync.';
comment on column rowferry._foreign_keys.columns is 'Columns that refer, in the order of the constraint.';
comment on column rowferry._foreign_keys.parent_columns is 'Columns that are referred to, in the same order.';
comment on column rowferry._foreign_keys.on_delete is 'What a delete of the parent does, as pg_constraint.confdeltype has it: c is cascade.';
comment on column rowferry._foreign_keys.on_update is 'What a change of the parent''s key does, likewise.';
comment on column rowferry._foreign_keys.deferrable is 'Whether the constraint may wait for the end of the transaction.';
comment on column rowferry._foreign_keys.is_copy is 'Whether it is the copy, in a partition, of a constraint of the whole table.';
