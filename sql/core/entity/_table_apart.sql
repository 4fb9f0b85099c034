create or replace function rowferry._table_apart(
  p_entity rowferry.entities,
  out o_problem text,
  out o_fix text,
  out o_unusable boolean,
  out o_sqlstate text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
declare
  v_table pg_class := (select c from pg_class c where c.oid = p_entity.relation);
  v_now constant text := case when v_table.oid is not null then p_entity.relation::text end;
  v_names text[];
  v_other regclass;  -- the table that people write now
  v_relatives text;
  v_columns record;
begin
  o_unusable := v_now is distinct from p_entity.relation_name or v_table.oid <> p_entity.relation_oid or v_table.relkind = 'v';
  if not o_unusable then
    v_columns := rowferry._columns_apart(p_entity);
    o_problem := v_columns.o_problem;
    o_fix := v_columns.o_fix;
    o_unusable := o_problem is not null;
    o_sqlstate := 'RF020';
  else
    o_sqlstate := 'RF039';
  end if;
  if o_problem is not null then
    return;
  elsif o_unusable then
    v_names := parse_ident(p_entity.relation_name);
    v_other := (
      select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = v_names[1] and c.relname = v_names[2] and c.relkind in ('r', 'p') and c.oid is distinct from v_table.oid);
    if v_other is not null then
      o_problem := case when v_table.oid is null then 'its table was dropped, and another one has its name: what is written there does not travel'
        else format('its table is %s now, and another one is %s: what is written there does not travel', v_now, p_entity.relation_name) end;
    elsif v_table.oid is null then
      o_problem := 'its table was dropped';
      o_fix := format('select rowferry.detach(%L, p_force => true);  -- the same on the other node; or make the table again and attach it', p_entity.name);
    elsif v_table.relkind = 'v' then
      o_problem := 'a rule has made a view of its table';
      o_fix := format('select rowferry.detach(%L, p_force => true);  -- the same on the other node; or drop the view, make the table again and attach it',
        p_entity.name);
    elsif v_now <> p_entity.relation_name then
      o_problem := format('its table %s is %s now', p_entity.relation_name, v_now);
      o_fix := format('select rowferry.attach(%L, %L);  -- or give it its name back', v_now, p_entity.name);
    else
      o_problem := 'this database was restored from a dump, and its functions know the table by another number';
      o_fix := format('select rowferry.attach(%L, %L);', v_now, p_entity.name);
    end if;
  elsif v_table.relispartition then
    v_other := pg_partition_root(p_entity.relation);
    o_problem := format('it is a partition of %s now: what is written through that table is not captured', v_other);
  elsif v_table.relkind = 'r' then
    if v_table.relhassubclass then
      select string_agg(i.inhrelid::regclass::text, ', '), string_agg(format('alter table %s no inherit %s;', i.inhrelid::regclass, v_now), ' ')
      into v_relatives, o_fix
      from pg_inherits i where i.inhparent = p_entity.relation;
      if v_relatives is not null then
        o_problem := format('%s inherits from it: what is written there does not travel', v_relatives);
        return;
      end if;
    end if;
    select string_agg(i.inhparent::regclass::text, ', '), string_agg(format('alter table %s no inherit %s;', v_now, i.inhparent::regclass), ' ')
      || format(' select * from rowferry.first_contact(%L);', p_entity.name)
    into v_relatives, o_fix
    from pg_inherits i where i.inhrelid = p_entity.relation;
    if v_relatives is not null then
      o_problem := format('it inherits from %s now: what is written through that table is not captured', v_relatives);
    end if;
  end if;
  if v_other is not null then
    -- A comparison finds the rows that either side lacks. This table's rows are the ones that stay, and the rows that only the other side has are written here.
    o_fix := format('select rowferry.detach(%1$L, p_force => true); %2$s select * from rowferry.first_contact(%1$L);'
      '  -- once compare_runs says finished: select * from rowferry.first_contact(%1$L, %3$s);',
      p_entity.name, rowferry._attach_call(p_entity, v_other), case p_entity.direction
        when 'send' then $h$p_only_here => 'here', p_only_there => 'here', p_different => 'here'$h$
        when 'receive' then $h$p_only_there => 'there', p_different => 'there'$h$
        else $h$p_only_here => 'here', p_only_there => 'there', p_different => 'here'$h$ end);
  end if;
end
$$;
comment on function rowferry._table_apart(rowferry.entities) is
  'What happened to an entity''s table since attach(), by its name, its columns and what it inherits, and what to type; null means nothing. o_unusable says '
  'that the name means another table, or that a column is another one, so that rows are neither read nor written. Otherwise only what is written through '
  'another table is not captured.';
