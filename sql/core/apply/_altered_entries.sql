create or replace function rowferry._altered_entries(
  p_entity rowferry.entities,
  p_section rowferry._section,
  p_types text[],
  p_keys text[],
  p_positions integer[]
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object('entity', p_entity.name, 'record_id', k.record_id) || h.refusal), '[]')
  from unnest(p_keys, p_positions) k (record_id, position)
  join (
    select c.position, rowferry._explain_refusal('22003', 'a value does not fit its column on the other node without loss',
      format('Column %s.', p_section.columns[c.position]),
      format('Column %s is %s here and %s there. Give it one type: alter table %s alter column %I type %s; select rowferry.attach(%L);  -- on %s; '
        'then here: select rowferry.retry(id); or change the value.',
        p_section.columns[c.position], p_section.types[c.position], p_types[c.position],
        coalesce(rowferry._travelling_relation(p_entity), p_entity.relation), p_entity.local_columns[c.position],
        case when rowferry._known_type(p_section.types[c.position]) is not null then p_section.types[c.position] else '..' end,
        p_entity.relation::text, (select n.name from rowferry.node n)))
    from (select distinct p from unnest(p_positions) p) c (position)
  ) h (position, refusal) using (position)
$$;
comment on function rowferry._altered_entries(rowferry.entities, rowferry._section, text[], text[], integer[]) is
  'Entries for the list of records that were not taken, for rows that this node''s types would alter, each with the column and both types as the sender '
  'sees them: here is the sender, there is this node.';
