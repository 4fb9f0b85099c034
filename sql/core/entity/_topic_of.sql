create or replace function rowferry._topic_of(
  p_entity rowferry.entities
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select regexp_replace(p_entity.name, '@' || p_entity.peer || '$', '')
$$;
comment on function rowferry._topic_of(rowferry.entities) is
  'What the name of the topic ends with into which an outbox sends an entity: the name of the entity without that of the peer.';
