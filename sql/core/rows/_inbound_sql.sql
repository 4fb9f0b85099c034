create or replace function rowferry._inbound_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_function constant text[] := parse_ident(p_entity.inbound);
  v_written constant rowferry.entities := rowferry._written(p_entity);
  v_key_places integer[];
  v_sent_keys text;
  v_values text;
  v_written_keys text;
begin
  if p_entity.inbound is null then
    return '';
  end if;
  select array_agg(c.place), string_agg('u.c' || c.place, ', ' order by c.key_position) into v_key_places, v_sent_keys
  from rowferry._column_parts(p_entity) c
  where c.key_position is not null;
  select string_agg(c.printed, E',\n    ' order by c.place), string_agg('u.c' || c.place, ', ' order by c.key_position)
    filter (where c.key_position is not null) into v_values, v_written_keys
  from rowferry._column_parts(v_written) c;
  return format($f$  v_sent := $1;
  execute %3$s
  into $1 using $1;
  if array(select row(%1$s) from %2$s order by 1) operator(pg_catalog.<>) array(select row(%4$s) from %5$s order by 1) then
    raise exception using errcode = 'RF029', message = 'the inbound function on the other node has left a record out, or made another of it',
      hint = %6$L;
  end if;
$f$, v_sent_keys, rowferry._received_sql(p_entity, 'v_sent', p_places => v_key_places),
    rowferry._rows_of_sql(p_entity, format(E'select array[\n    %s]\n  from %I.%I(array(select ', v_values, v_function[1], v_function[2]),
      format(' from %s)) t', rowferry._received_sql(p_entity))),
    v_written_keys, rowferry._received_sql(v_written), format('There %s must return each record once, under its key.', p_entity.inbound));
end
$function$;
comment on function rowferry._inbound_sql(rowferry.entities) is
  'PL/pgSQL that turns the rows received in $1 into those that are written, by the user''s inbound function. If the function leaves a record out, that is an '
  'error, because the record would look as if it was deleted here. It is empty if there is no such function.';
