create or replace function rowferry._entity_functions(
  p_entity rowferry.entities
)
returns table (
  name text,
  signature text,
  of_table_owner boolean,
  comment text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select n.name, format('%I(%s)', n.name, f.arguments), f.prefix <> 'capture_',
    format(f.comment, p_entity.relation)
  from (values
    ('capture_', '', 'Writes an event for each change of a row of %s.'),
    ('read_', 'text[], bigint', 'Reads rows of %s by their keys.'),
    ('hash_', 'text[], bigint, boolean', 'Hashes rows of %s, to compare them with the other node''s.'),
    ('apply_', 'text[], boolean, jsonb', 'Updates or inserts rows of %s as the other node has them.'),
    ('delete_', 'text[]', 'Deletes rows of %s that the other node has no more.'),
    ('lock_', 'text[]', 'Locks rows of %s; returns the keys of those that somebody else has locked.'),
    ('altered_', 'text[], text[], integer[], regtype[], boolean', 'Which of some rows of %s would be altered by this node''s types.'),
    ('differing_', 'text[], text[]', 'Keys of rows of %s that are not stored as they were sent.'),
    ('finish_', '', 'Checks and fires what is deferred on %s, with the rights of its owner.'),
    ('keys_', 'text, integer', 'Next keys of %s in their order, for backfill.'),
    ('lacking_', 'text[], text[]', 'Which of some rows of %s have no parent on this node.'),
    ('wanting_', 'text[], text[]', 'Which of some rows of %s want a unique value that another row holds.'),
    ('count_', 'bigint', 'How many rows of %s are kept in sync, counted up to a given number.'),
    ('emptied_', 'regclass', 'Keys of the rows of %s, or of one partition of it, that are about to be truncated.'),
    ('sequences_', 'jsonb', 'Where the sequences stand that feed columns of %s, and how far the values in these have come.'),
    ('cycle_', 'text[], boolean, jsonb, text[]', 'Writes rows of %s and of the tables with which it forms a cycle.'),
    ('followers_', 'text[], text, integer', 'Rows of %s that follow some rows of another table.'),
    ('merge_', 'text[], text[], text[]', 'Merges rows of %s that both nodes changed.')
  ) f (prefix, arguments, comment)
  cross join lateral (select rowferry._generated_name(f.prefix, p_entity.name) offset 0) n (name)
  where case f.prefix
    when 'merge_' then p_entity.conflict_rule like 'merge:%' and rowferry._merges_here(p_entity.peer)
    when 'cycle_' then p_entity.cycle = p_entity.id
    when 'followers_' then p_entity.within is not null
    when 'capture_' then p_entity.direction <> 'receive'
    else true end
$$;
comment on function rowferry._entity_functions(rowferry.entities) is
  'The functions that are generated for an entity: the one list for all code that creates, comments, checks or drops them.';
