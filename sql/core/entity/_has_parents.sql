-- Whether a row of one entity of a link may refer to a row of another, or of the same.
create or replace function rowferry._has_parents(
  p_peer text
)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select
    from rowferry.entities c
    join pg_constraint f on f.conrelid = c.relation and f.contype = 'f'
    join rowferry.entities p on p.relation = f.confrelid
    where c.peer = p_peer and p.peer = p_peer)
$$;
comment on function rowferry._has_parents(text) is 'Whether a row of one entity of a link may refer to a row of another.';
