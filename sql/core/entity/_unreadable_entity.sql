create or replace function rowferry._unreadable_entity(
  p_entity rowferry.entities,
  p_sqlstate text,
  p_message text
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('entity', p_entity.name, 'here', true,
    'sqlstate', case when a.o_unusable then a.o_sqlstate when p_sqlstate = 'RF039' then 'RF039' else 'RF020' end,
    'message', case when a.o_unusable then a.o_problem else format('its table on this node cannot be read: %s (%s)', p_message, p_sqlstate) end,
    'hint', case
      when a.o_unusable then a.o_fix
      when p_sqlstate = 'RF039' then 'select * from rowferry.check();  -- it says what to type'
      when left(p_sqlstate, 2) in ('53', '58')
        then '-- the server lacks something for this table, as the message says; once it has that, the table goes on'
      when p_entity.outbound is not null
        then format('select * from rowferry.check();  -- then mend the view %s or what it calls; nothing is lost in the meantime', p_entity.outbound)
      else format('select rowferry.attach(%L, %L);  -- if the table was altered: this makes its functions fit it', p_entity.relation, p_entity.name) end)
  from rowferry._table_apart(p_entity) a
$$;
comment on function rowferry._unreadable_entity(rowferry.entities, text, text) is
  'What _hold_entities() is told of an entity whose table on this node could not be read because of this error.';
