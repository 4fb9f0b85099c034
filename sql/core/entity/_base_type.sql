create or replace function rowferry._base_type(
  p_domain oid,
  p_typmod integer,
  out o_type oid,
  out o_typmod integer
)
language plpgsql
stable
strict
set search_path = pg_catalog, pg_temp
as $$
begin
  o_type := p_domain;
  o_typmod := p_typmod;
  loop
    select t.typbasetype, case when o_typmod >= 0 then o_typmod else t.typtypmod end into p_domain, p_typmod
    from pg_type t where t.oid = o_type and t.typtype = 'd';
    exit when not found;
    o_type := p_domain;
    o_typmod := p_typmod;
  end loop;
end
$$;
comment on function rowferry._base_type(oid, integer) is 'The type, with its modifier, of which a domain, or a domain over a domain, is made; null for null.';
