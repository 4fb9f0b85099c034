create or replace function rowferry._which_entity(
  p_peer text,
  p_name text default null
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case when count(*) < 2 then '' when p_name is null then format(', p_peer => %L', p_peer) else format(', %L', p_name) end
  from rowferry.links
$$;
comment on function rowferry._which_entity(text, text) is
  'For a hint with a call of attach(): what follows the table, so that it is clear which of its entities is meant. It is the peer, or the name of the entity, '
  'which is the same on both nodes; nothing where there is only one peer.';
