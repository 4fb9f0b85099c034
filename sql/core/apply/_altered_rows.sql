create or replace function rowferry._altered_rows(
  p_entity rowferry.entities,
  p_section rowferry._section,
  p_types text[],
  p_keys text[],
  p_positions integer[]
)
returns rowferry._not_taken[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select array(
    select row(p_entity.name, c.keys, 'refused', rowferry._explain_refusal('22003', 'a value does not fit its column on the other node without loss',
      format('Column %s.', p_section.columns[c.position]),
      format('Column %s is %s here and %s there. Give it one type: alter table %s alter column %I type %s; select rowferry.attach(%L);  -- on %s; '
        'then here: select rowferry.retry(id); or change the value.',
        p_section.columns[c.position], p_section.types[c.position], p_types[c.position],
        coalesce(rowferry._travelling_relation(p_entity), p_entity.relation), p_entity.local_columns[c.position],
        case when rowferry._known_type(p_section.types[c.position]) is not null then p_section.types[c.position] else '..' end,
        p_entity.relation::text, (select n.name from rowferry.node n))))::rowferry._not_taken
    from (select p.position, array_agg(p.record_id) from unnest(p_keys, p_positions) p (record_id, position) group by p.position) c (position, keys))
$$;
comment on function rowferry._altered_rows(rowferry.entities, rowferry._section, text[], text[], integer[]) is
  'The list of records that were not taken, for rows that this node''s types would alter, each with the column and both types as the sender '
  'sees them: here is the sender, there is this node.';
