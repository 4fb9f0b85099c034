create or replace function rowferry._decide_orphan(
  p_peer text,
  p_section rowferry._section,
  p_acked int8multirange,
  p_schema text,
  p_table text,
  out o_give_up text,
  out o_conflict jsonb,
  out o_refers jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  c_most constant integer := 10000;
  c_few constant integer := 100;  -- to name one in passing
  v_relation oid := (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = p_schema and c.relname = p_table);
  v_child rowferry.entities;
  v_entity rowferry.entities;
  v_record_id text := (coalesce(p_section.keys, p_section.gone))[1];
  v_rows rowferry._section;
  v_read record;
  v_record record;
  v_here timestamptz;
begin
  select e.* into v_child
  from rowferry.entities e
  where e.peer = p_peer and (e.relation = v_relation or e.relation in (select a.relid from pg_partition_ancestors(v_relation) a));
  if v_child.orphan_rule = 'drop' and p_section.entity = v_child.name and p_section.keys is not null then
    for v_record in
      select n.name, p.record_id, max(rowferry._stamp(v)) as stamp
      from rowferry._parent_records(p_section) p
      join rowferry.entities n on n.id = p.entity_id
      join rowferry.events v on v.entity_id = p.entity_id and rowferry._index_key(v.record_id) = rowferry._index_key(p.record_id)
      where v.event_type <> 'q' and not v.id <@ p_acked
      group by n.name, p.record_id
    loop
      execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', v_record.name)) into v_read using array[v_record.record_id];
      perform rowferry._left_nothing();
      if v_read.o_keys is null then
        o_give_up := 'drop';
        v_here := v_record.stamp;
      end if;
    end loop;
  elsif v_child.id is null and v_relation is not null and p_section.gone is not null then
    o_refers := jsonb_build_object('table', v_relation::regclass);
  elsif v_child.orphan_rule in ('hold', 'revive') and p_section.gone is not null then
    execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', v_child.name)) into v_read
    using array(select distinct v.record_id from rowferry.events v
      where v.entity_id = v_child.id and v.event_type <> 'q' and not v.id <@ p_acked limit case v_child.orphan_rule when 'revive' then c_most else c_few end);
    perform rowferry._left_nothing();
    v_rows.entity := v_child.name;
    v_rows.keys := v_read.o_keys;
    v_rows.column_values := v_read.o_columns;
    if v_child.orphan_rule = 'hold' then
      o_refers := jsonb_build_object('entity', v_child.name, 'record_id', (
        select min(p.child_id) from rowferry._parent_records(v_rows) p join rowferry.entities n on n.id = p.entity_id
        where v_read.o_keys is not null and n.name = p_section.entity and p.record_id = v_record_id));
      return;
    end if;
    v_rows.keys := null;
    if v_read.o_keys is not null and exists (
        select from rowferry._parent_records(v_rows) p join rowferry.entities n on n.id = p.entity_id
        where n.name = p_section.entity and p.record_id = v_record_id) then
      o_give_up := 'revive';
      v_here := (select max(rowferry._stamp(v)) from rowferry.events v
        where v.entity_id = v_child.id and rowferry._index_key(v.record_id) = any (rowferry._index_keys(v_read.o_keys)) and not v.id <@ p_acked);
    end if;
  end if;
  if o_give_up is null then
    return;
  end if;
  select e.* into v_entity from rowferry.entities e where e.name = p_section.entity;
  execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', v_entity.name)) into v_read using array[v_record_id];
  perform rowferry._left_nothing();
  o_conflict := rowferry._conflicts_between(v_entity, o_give_up, p_peer, array[v_record_id], array['mine'], array[coalesce(v_here, '-infinity')],
    array[coalesce((select max(s) from unnest(p_section.event_stamps) s), '-infinity')],
    v_read.o_keys, v_read.o_columns, p_section.keys, p_section.column_values);
end
$$;
comment on function rowferry._decide_orphan(text, rowferry._section, int8multirange, text, text) is
  'What the orphan rule says of one record that a foreign key refused. o_give_up is set if a row and its parent were changed on both nodes, neither knowing '
  'of the other''s change, and the sender must give its change up: drop (the row was sent, and its parent was deleted here) or revive (the delete of the '
  'parent was sent, and a row here refers to it). p_schema and p_table name the table that refers, as the error does. o_refers names what refers to a record '
  'if the rule hold leaves its delete to a person: {"entity": .., "record_id": ..} for a row that was changed here and that the peer does not know '
  '(record_id null: some row), {"table": ..} for a table that is not attached.';
