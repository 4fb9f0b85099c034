-- What attach() registers of an entity, a row for each column of rowferry.entities, in their order.
create or replace function rowferry._entity_values(
  p_entity rowferry.entities
)
returns table (
  place integer,
  name text,
  value text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query values
    (1, 'id', p_entity.id::text),
    (2, 'name', p_entity.name),
    (3, 'peer', p_entity.peer),
    (4, 'relation', p_entity.relation::text),
    (5, 'relation_name', p_entity.relation_name),
    (6, 'relation_oid', p_entity.relation_oid::text),
    (7, 'key_columns', p_entity.key_columns::text),
    (8, 'key_types', p_entity.key_types::text),
    (9, 'columns', p_entity.columns::text),
    (10, 'local_columns', p_entity.local_columns::text),
    (11, 'column_types', p_entity.column_types::text),
    (12, 'column_numbers', p_entity.column_numbers::text),
    (13, 'columns_given', p_entity.columns_given::text),
    (14, 'conflict_rule', p_entity.conflict_rule),
    (15, 'orphan_rule', p_entity.orphan_rule),
    (16, 'truncate_rule', p_entity.truncate_rule),
    (17, 'direction', p_entity.direction),
    (18, 'filter', p_entity.filter),
    (19, 'filter_columns', p_entity.filter_columns::text),
    (20, 'filter_types', p_entity.filter_types::text),
    (21, 'filter_left', p_entity.filter_left),
    (22, 'within', p_entity.within),
    (23, 'within_columns', p_entity.within_columns::text),
    (24, 'within_parent_columns', p_entity.within_parent_columns::text),
    (25, 'outbound', p_entity.outbound),
    (26, 'inbound', p_entity.inbound),
    (27, 'on_apply', p_entity.on_apply),
    (28, 'trigger_rule', p_entity.trigger_rule),
    (29, 'version', p_entity.version::text);
end
$$;
comment on function rowferry._entity_values(rowferry.entities) is 'What attach() registers of an entity, a row for each column of rowferry.entities.';
