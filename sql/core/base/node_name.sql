create or replace function rowferry.node_name()
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$ select n.name from rowferry.node n $$;
comment on function rowferry.node_name() is 'Name of this node in alembic.ini; null until alembic upgrade head has named it.';
