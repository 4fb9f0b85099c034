create or replace function rowferry._plan_call(
  p_pair jsonb,
  p_mine jsonb,
  p_theirs jsonb,
  p_followed jsonb,
  p_kept text[],
  p_filter text,
  out o_statement text,
  out o_notes text[],
  out o_sequences text[],
  out o_restarts text[],
  out o_rows text[],
  out o_is_filtered boolean,
  out o_problem text
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_node constant text := p_theirs ->> 'node';
  v_entity constant text := p_pair ->> 'entity';
  v_m constant jsonb := p_mine #> array['tables', p_pair ->> 'mine'];
  v_t constant jsonb := p_theirs #> array['tables', p_pair ->> 'theirs'];
  v_columns jsonb := p_pair -> 'columns';
  v_key text[] := array(select jsonb_array_elements_text(p_pair #> '{key,columns}'));
  v_parent jsonb;
  v_within text;
begin
  v_columns := case when jsonb_array_length(v_columns) < (v_m ->> 'all')::integer then v_columns end;
  v_key := case when (p_pair #>> '{key,primary}')::boolean then null else v_key end;
  select p into v_parent from jsonb_array_elements(v_m -> 'parents') p where p_followed ? (p ->> 'table') order by p ->> 'key' limit 1;
  v_within := p_followed ->> (v_parent ->> 'table');
  -- attach() also knows a foreign key by its name, which another one of the table may share with the parent.
  if not (v_parent ->> 'only')::boolean or exists (select from jsonb_array_elements(v_m -> 'parents') p where p ->> 'key' = v_within) then
    v_within := v_parent ->> 'key';
  end if;
  o_is_filtered := coalesce(p_filter, v_within) is not null;
  -- plan_facts() has tried the table with all its columns and its first key already.
  if v_key is not null or p_filter is not null or v_entity <> (v_m ->> 'short')
    or jsonb_array_length(v_columns) < (select count(*) from jsonb_object_keys(v_m -> 'columns')) then
    o_problem := rowferry._refusal((p_pair ->> 'mine')::regclass, v_entity, v_columns, v_key, v_node, p_filter);
    if o_problem is not null then
      return;
    end if;
  end if;
  o_statement := format('select rowferry.attach(%L%s);', p_pair ->> 'mine', concat(
    case when v_entity <> (v_m ->> 'short') || coalesce('@' || (select l.spoke from rowferry.links l where l.peer = v_node), '')
      then format(', p_entity => %L', v_entity) end,
    case when v_columns is not null then format(', p_columns => %L', v_columns) end,
    case when v_key is not null then format(', p_key => array[%s]', (select string_agg(quote_literal(k), ', ') from unnest(v_key) k)) end,
    case when (select count(*) > 1 from rowferry.links) then format(', p_peer => %L', v_node) end,
    case v_t ->> 'direction' when 'send' then ', p_direction => ''receive''' when 'receive' then ', p_direction => ''send''' end,
    case when v_t ->> 'conflict_rule' <> 'newest' then format(', p_conflict_rule => %L', v_t ->> 'conflict_rule') end,
    case when v_t ->> 'orphan_rule' <> 'hold' then format(', p_orphan_rule => %L', v_t ->> 'orphan_rule') end,
    case when p_filter is not null then format(', p_filter => %L', p_filter) end,
    case when v_within is not null then format(', p_within => %L', v_within) end));
  o_notes := array(
    select n.line
    from (
      select 1, c.key, format('%s stays here, %s has no such column', c.key, v_node)
      from jsonb_each(v_m -> 'columns') c where not p_pair -> 'columns' ? c.key
      union all
      select 2, c.key, format('%s.%s must have a value, and rows from here bring none: give it a default there, or an always trigger that fills it',
        v_node, c.key)
      from jsonb_each(v_t -> 'columns') c where not p_pair -> 'columns' ? c.key and c.value ? 'wanted'
      union all
      select 2, c.key, format('%s must have a value, and rows of %s bring none: give it a default, or an always trigger that fills it', c.key, v_node)
      from jsonb_each(v_m -> 'columns') c where not p_pair -> 'columns' ? c.key and c.value ? 'wanted'
      union all
      select 3, c.key, format('%s is %s here and %s on %s: a value that does not fit is refused', c.key, c.value ->> 'type', o.value ->> 'type', v_node)
      from jsonb_each(v_m -> 'columns') c join jsonb_each(v_t -> 'columns') o using (key)
      where p_pair -> 'columns' ? c.key and c.value ->> 'type' <> o.value ->> 'type'
      union all
      select 4, '', format(case count(*) when 1 then 'trigger %1$s will not run for rows of %2$s; if it is to, type before the next line: '
          'alter table %3$s enable always trigger %4$I;'
        else 'triggers %1$s will not run for rows of %2$s; one that is to, before the next line: alter table %3$s enable always trigger ..;' end,
        string_agg(t #>> '{}', ', ' order by t #>> '{}'), v_node, p_pair ->> 'mine', min(t #>> '{}'))
      from jsonb_array_elements(v_m -> 'silent') t having count(*) > 0
      union all
      select 5, p ->> 'key', format('%s refuses a row whose %s it lacks: that table is not kept in sync', v_node, p ->> 'table')
      from jsonb_array_elements(v_m -> 'parents') p where p ->> 'table' <> all (p_kept)
      union all
      select 6, p ->> 'key', format('rows follow %s alone; %s refuses a row whose %s is not within its filter', v_parent ->> 'table', v_node, p ->> 'table')
      from jsonb_array_elements(v_m -> 'parents') p where p_followed ? (p ->> 'table') and p <> v_parent
      union all
      select 7, '', x || format('  -- in psql, so that the rows that follow one of %s are found quickly', v_parent ->> 'table')
      from rowferry._lacking_index(jsonb_populate_record(null::rowferry.entities, jsonb_build_object('relation', p_pair -> 'mine', 'within', v_within,
        'within_columns', v_parent -> 'columns', 'direction', case v_t ->> 'direction' when 'send' then 'receive' else 'both' end))) x
      where x is not null
    ) n (place, name, line)
    order by n.place, n.name);
  select coalesce(array_agg(case
      when g.problem is not null then rowferry._plan_comment(format('%s cannot be staggered: %s. Give each node values of its own: '
        'alter sequence .. minvalue .. maxvalue ..; or let one node draw for both.', g.name, g.problem))
      when not pg_has_role(g.owner, 'usage') then rowferry._plan_comment(format('As %s, who owns it: select * from rowferry.stagger_sequence(%L);',
        g.owner, g.name))
      else format('select * from rowferry.stagger_sequence(%L);', g.name) end), '{}'),
    coalesce(array_agg(format('select setval(%L, max(%I)) from %s; alter sequence %s increment by %s;', g.name, g.column_name, p_pair ->> 'mine', g.name,
      g.block)) filter (where g.problem is null), '{}')
  into o_sequences, o_restarts
  from (
    select c.key, c.value #>> '{sequence,name}', c.value #>> '{sequence,owner}', coalesce(c.value #>> '{sequence,block}', c.value #>> '{sequence,increment}'),
      coalesce(rowferry._stagger_problem(c.value -> 'sequence', o.value -> 'sequence'), rowferry._stagger_problem(o.value -> 'sequence', c.value -> 'sequence'))
    from jsonb_each(v_m -> 'columns') c
    join jsonb_each(v_t -> 'columns') o using (key)
    where p_pair -> 'columns' ? c.key and c.value ? 'sequence' and o.value ? 'sequence') g (column_name, name, owner, block, problem);
  o_rows := array(
    select case when (v_m ->> 'filled')::boolean and (v_t ->> 'filled')::boolean
        then format('select * from rowferry.first_contact(%L);  -- both have rows; on one node, once both have attached it', v_entity)
      else format('select * from rowferry.backfill(%L);%s', v_entity, case when (v_m ->> 'filled')::boolean then '' else '  -- on ' || v_node end) end
    where (v_m ->> 'filled')::boolean or (v_t ->> 'filled')::boolean);
end
$$;
comment on function rowferry._plan_call(jsonb, jsonb, jsonb, jsonb, text[], text) is
  'For plan(): the call that attaches one table, and what there is to say of it. attach() has been asked with p_dry_run whether it would refuse the call; '
  'only whether rows can follow a parent that is not attached yet is found out when it runs. o_problem says what attach() refused.';
