create or replace function rowferry.let_loser_win(
  p_id bigint
)
returns table (
  entity text,
  record_id text,
  row_before jsonb,
  row_after jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $$
#variable_conflict use_column
declare
  v_conflict rowferry.conflicts;
  v_entity rowferry.entities;
  v_section rowferry._section;
  v_read record;
  v_temporary text;
begin
  perform rowferry._begin_deferred();
  select c.* into v_conflict from rowferry.conflicts c where c.id = p_id;
  if not found then
    raise exception using errcode = 'RF008', message = 'no such conflict', detail = format('Conflict %s.', p_id),
      hint = 'select id, entity, record_id, winner, rule, loser_row from rowferry.conflicts order by id desc limit 20;';
  end if;
  select e.* into v_entity from rowferry.entities e where e.name = v_conflict.entity;
  if not found then
    raise exception using errcode = 'RF011', message = 'no such entity', detail = format('%s was detached since.', v_conflict.entity),
      hint = 'Both rows are in rowferry.conflicts: write the one you want by hand.';
  elsif v_conflict.loser_row is not null
      and array(select k collate "C" from jsonb_object_keys(v_conflict.loser_row) k order by 1) <> v_entity.columns then
    raise exception using errcode = 'RF020', message = 'the columns of the entity have changed since the conflict',
      detail = format('Then %s; now %s.', array(select jsonb_object_keys(v_conflict.loser_row)), v_entity.columns),
      hint = 'Both rows are in rowferry.conflicts: write the one you want by hand.';
  end if;
  entity := v_conflict.entity;
  record_id := v_conflict.record_id;
  execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', v_entity.name)) into v_read using array[v_conflict.record_id];
  perform rowferry._left_nothing();
  row_before := (select jsonb_object(v_entity.columns, r.literal::text[]) from rowferry._row_literals(v_read.o_keys, v_read.o_columns) r);
  if v_conflict.loser_row is null then
    execute format('select rowferry.%I($1)', rowferry._generated_name('delete_', v_entity.name)) using array[v_conflict.record_id];
    perform rowferry._left_nothing();
  else
    execute format('select rowferry.%I($1, false, null)', rowferry._generated_name('apply_', v_entity.name))
    using array(select array[v_conflict.loser_row ->> c.name]::text from unnest(v_entity.columns) with ordinality c (name, ord) order by c.ord);
    perform rowferry._left_nothing();
  end if;
  v_section.entity := v_entity.name;
  perform rowferry._finish(array[v_section]);
  v_temporary := (
    select string_agg(c.oid::regclass::text, ', ') from pg_class c
    where c.relnamespace = pg_my_temp_schema() and c.relkind in ('r', 'v', 'p')
      and c.relowner <> (select r.oid from pg_roles r where r.rolname = session_user));
  if v_temporary is not null then
    raise exception using errcode = 'RF043', message = 'this session has a temporary relation of another role', detail = format('%s.', v_temporary),
      hint = 'A trigger of the table has made this relation, and you would use it in place of another one of that name. Let the trigger drop what it makes.';
  end if;
  -- Rows of earlier transactions, which nobody needs any more.
  delete from rowferry.applying a
  where a.ctid = any (array(select s.ctid from rowferry.applying s where s.transaction_id <> pg_current_xact_id() for update skip locked));
  update rowferry.applying a set hops = 0 where a.transaction_id = pg_current_xact_id() and a.entity_id = -1;  -- the last command: see _begin_deferred()
  execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', v_entity.name)) into v_read using array[v_conflict.record_id];
  perform rowferry._left_nothing();
  row_after := (select jsonb_object(v_entity.columns, r.literal::text[]) from rowferry._row_literals(v_read.o_keys, v_read.o_columns) r);
  return next;
end
$$;
comment on function rowferry.let_loser_win(bigint) is
  'Turns a conflict round: the loser''s row is written here as an ordinary change of this node, which then travels like any other. It returns the row before '
  'and after. What the row''s triggers deferred is done at once, with the rights of the table''s owner; so before PostgreSQL 18 the transaction may have '
  'written nothing but by this function.';
