do $$
declare
  v_name text;
begin
  if coalesce(current_setting('rowferry.force', true), '') <> 'on' and exists (select from rowferry.entities) then
    raise exception using errcode = 'RF012', message = 'tables are still attached',
      detail = format('%s; events that are not delivered: %s.', (select string_agg(name, ', ' order by name) from rowferry.entities), (select count(*) from rowferry.events)),
      hint = 'Let the worker deliver what waits, then detach them: alembic -n site downgrade base, or select rowferry.detach(name) from rowferry.entities; '
        || 'or give it up: alembic -x force=true downgrade ..';
  end if;
  for v_name in select e.name from rowferry.entities e order by e.id loop
    perform rowferry.detach(v_name, p_force => true);
  end loop;
end
$$;
drop function rowferry.stagger_sequence(regclass, integer, integer);
drop function rowferry._note_staggered(regclass, bigint);
drop function rowferry._staggering(regclass);
drop function rowferry.drift();
drop function rowferry.check(text);
drop function rowferry._check_sequences(text, boolean);
drop function rowferry._check_differing(text);
drop function rowferry._check_peer(text);
drop function rowferry._may_draw(jsonb);
drop function rowferry._stagger_problem(jsonb, jsonb);
drop function rowferry._check_server();
drop function rowferry._check_triggers(text);
drop function rowferry._check_tables(text);
drop function rowferry._check_rights(text);
drop function rowferry._check_functions(text);
drop function rowferry._check_capture(text);
drop function rowferry._check_own();
drop function rowferry._note_release();
drop function rowferry._own_objects();
drop function rowferry._function_digest(oid);
drop function rowferry._generated_functions(text);
drop function rowferry._note_facts(text, jsonb);
drop function rowferry._tell_facts(rowferry.links, text, boolean, boolean, boolean);
drop function rowferry._schema_digest(text);
drop function rowferry._facts(text, text, interval);
drop function rowferry._sequences_of(rowferry.entities);
drop table rowferry.released_objects;
drop table rowferry.released;
drop table rowferry.staggered_sequences;
drop table rowferry.peer_facts;
alter table rowferry.links
  drop column facts_sent_at,
  drop column facts_to,
  drop column facts_entities,
  drop column facts_schema,
  drop column facts_looked_at,
  drop column facts_apart;
