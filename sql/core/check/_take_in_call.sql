create or replace function rowferry._take_in_call(
  p_entity text,
  p_facts jsonb,
  p_columns jsonb
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select format('select rowferry.attach(%L, %L%s);', p_facts ->> 'relation', p_entity, case when p_facts ? 'named' then format(', p_columns => %L',
    (select jsonb_object_agg(key, value ->> 'local') from jsonb_each(p_facts -> 'columns')) || p_columns) end)
$$;
comment on function rowferry._take_in_call(text, jsonb, jsonb) is
  'For check(): the call of attach() that takes columns of a table in, by the facts of its node. p_columns has their names in the table by those between the '
  'nodes. A table that was attached without p_columns takes in all that it has.';
