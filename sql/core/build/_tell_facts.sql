create or replace function rowferry._tell_facts(
  p_link rowferry.links,
  p_sends boolean,
  p_travels boolean,
  p_waits boolean,
  out o_link rowferry.links,
  out o_facts jsonb
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  -- This text changes whenever attach(), detach() or set_rules() is called.
  v_entities constant text := (select concat(count(*), ' ', max(n.version)) from rowferry.entities n where n.peer = p_link.peer);
  v_schema bigint := p_link.facts_schema;
  v_looked boolean := (p_sends or p_waits or p_link.facts_apart) and coalesce(p_link.facts_looked_at < clock_timestamp() - interval '1 s', true);
begin
  o_link := p_link;
  if v_looked then
    v_schema := rowferry._schema_digest(p_link.peer);
    if p_sends then
      o_link.facts_looked_at := clock_timestamp();
    end if;
  end if;
  if p_link.ready and p_link.facts_to is null and (v_entities, v_schema) is not distinct from (p_link.facts_entities, p_link.facts_schema)
    and not (p_travels and coalesce(p_link.facts_sent_at < rowferry._now() - interval '5 min', true)) then
    return;
  end if;
  if p_link.facts_to is null and not v_looked then
    v_schema := rowferry._schema_digest(p_link.peer);
  end if;
  o_facts := rowferry._schema_facts(p_link.peer, coalesce(p_link.facts_to, ''), '0.1 s');
  if not coalesce(o_facts ? 'entities', false) then
    o_facts := null;
    return;
  end if;
  -- This notes the state at the beginning, so what changes before everything has been told is told again.
  if p_link.facts_to is null then
    o_link.facts_entities := v_entities;
    o_link.facts_schema := v_schema;
    o_link.facts_apart := false;
  end if;
  o_link.facts_apart := o_link.facts_apart or exists (select from jsonb_each(o_facts -> 'entities') e where e.value ? 'apart');
  o_link.facts_to := o_facts ->> 'last';
  o_link.facts_looked_at := clock_timestamp();
  if o_link.facts_to is null then
    o_link.facts_sent_at := rowferry._now();
  end if;
end
$$;
comment on function rowferry._tell_facts(rowferry.links, boolean, boolean, boolean) is
  'Returns the facts for the peer''s check() that go into this envelope. They are sent at the opening, every 5 minutes with what travels anyway (p_travels), '
  'and at once when they change. Each call looks at what attach(), detach() and set_rules() change. A call that sends something (p_sends) or has something '
  'that waits (p_waits) looks at the rest of the schema too, once a second; as long as the peer believes that a table is not well, every call does so. A call '
  'that tells nothing and sends nothing changes nothing in the link.';
