create or replace function rowferry.configure_node(
  p_name text,
  p_peers text[],
  p_spokes text[] default null
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from rowferry.node n where n.name <> p_name) then
    raise exception using errcode = 'RF006', message = 'this database is another node already',
      detail = format('It is %s and was to become %s.', (select n.name from rowferry.node n), p_name),
      hint = 'Either the environment variable holds the connection string of another database, or the name in alembic.ini was changed. '
        'A node keeps its name until alembic downgrade base.';
  end if;
  if exists (select from rowferry.links l where l.slot is not null and l.peer = any (p_peers)) then
    raise exception using errcode = 'RF006', message = 'an outbox of this node has the name of a node',
      detail = format('It is %s.', (select min(l.peer) from rowferry.links l where l.slot is not null and l.peer = any (p_peers))),
      hint = 'Give the node another name in alembic.ini; or remove the outbox: select rowferry.remove_outbox();';
  end if;
  insert into rowferry.node (name, system_identifier, database_oid, configured_at)
  select p_name, i ->> 'system', (i ->> 'database')::oid, rowferry._now()
  from rowferry._database_identity() i
  where not exists (select from rowferry.node);
  insert into rowferry.links (peer, spoke)
  select p.peer, p.spoke from unnest(p_peers, p_spokes) p (peer, spoke)
  on conflict do nothing;
  update rowferry.links l set spoke = p.spoke
  from unnest(p_peers, p_spokes) p (peer, spoke) where l.peer = p.peer and l.spoke is distinct from p.spoke and p.spoke is not null;
end
$$;
comment on function rowferry.configure_node(text, text[], text[]) is
  'Names this node and its peers. alembic upgrade head calls it with the names in alembic.ini; to call it again changes nothing. A peer that is no longer '
  'named keeps its link, so that nothing pending is lost. p_spokes has for each link the node that it leads to from the hub; null: there are only two nodes.';
