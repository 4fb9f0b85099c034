create or replace function rowferry._find_link(
  p_peer text
)
returns rowferry.links
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link rowferry.links := (select l from rowferry.links l
    where l.peer = coalesce(p_peer, (select min(o.peer) from rowferry.links o where o.slot is null having count(*) = 1)));
begin
  if v_link.peer is null and not exists (select from rowferry.node) then
    raise exception using errcode = 'RF006', message = 'this database has no name yet',
      hint = 'Run alembic upgrade head with alembic.ini; it names the node and its peers.';
  elsif v_link.peer is null then
    raise exception using errcode = 'RF002', message = 'no such peer',
      detail = format('This node knows: %s.', coalesce((select string_agg(l.peer, ', ' order by l.peer) from rowferry.links l), 'none')),
      hint = 'Give one of these names, or name the node in alembic.ini and run alembic upgrade head.';
  end if;
  return v_link;
end
$$;
comment on function rowferry._find_link(text) is 'The link that a person means: the one to this peer, or the only one to a node.';
