create or replace function rowferry._refuse_wrong_direction(
  p_entity rowferry.entities,
  p_sends boolean
)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_entity.direction = 'receive' and p_sends then
    raise exception using errcode = 'RF028', message = 'this node only receives rows of the entity',
      detail = format('%s, from %s.', p_entity.name, p_entity.peer),
      hint = format('Do it on %s, or let the rows of %1$s come here: select * from rowferry.repair(%2$L, p_from => %1$L);', p_entity.peer, p_entity.name);
  elsif p_entity.direction = 'send' and not p_sends then
    raise exception using errcode = 'RF028', message = 'this node only sends rows of the entity',
      detail = format('%s, to %s.', p_entity.name, p_entity.peer),
      hint = format('The rows of this node are the ones that stay: p_from => this node, or select * from rowferry.backfill(%L);', p_entity.name);
  end if;
end
$$;
comment on function rowferry._refuse_wrong_direction(rowferry.entities, boolean) is
  'Raises an error if a row of this node is to be sent to the peer (p_sends), or a row of the peer to be written here, and rows of the entity go the other way '
  'only.';
