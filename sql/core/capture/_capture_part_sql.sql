create or replace function rowferry._capture_part_sql(
  p_way_out text,
  p_entity_id integer,
  p_type text,
  p_record_id text,
  p_from text,
  p_where text default null,
  p_place text default null,
  p_peers text default null
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $function$
  select format($f$    if v_keys is null then
      insert %1$s
      into rowferry.events (changed_at, entity_id, event_type, record_id%7$s)
      select v_now, %2$s, %3$s, %4$s%8$s
      from %5$s%6$s;
    else
      insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id%7$s)
      select v_now, %2$s, v_hops, %3$s, %4$s%10$s
      from %5$s
      where %9$s%11$s;
    end if;
$f$, p_way_out, case when p_peers is null then p_entity_id::text else 'p.id' end, p_type, p_record_id, p_from || coalesce(E'\n      cross join ' || p_peers, ''),
    E'\n      where ' || p_where,
    case when p_place is not null then ', place' end, ', ' || p_place, '(' || p_where || E')\n        and ', ', case when v_passes then ' || p_place || ' end',
    format(case when p_peers is null then 'not %s operator(pg_catalog.=) any (select pg_catalog.unnest(v_keys))'
      else '(p.peer operator(pg_catalog.<>) v_peer or not v_everything and not %s operator(pg_catalog.=) any (select pg_catalog.unnest(v_keys)))' end,
      p_record_id))
$function$;
comment on function rowferry._capture_part_sql(text, integer, text, text, text, text, text, text) is
  'PL/pgSQL that writes the events for one kind of statement. It has a second INSERT for statements of the applier, so that the plan of the users'' own '
  'statements does not contain the keys to leave out. p_place is the place that the row had, for changes of users, also those of another peer that are '
  'passed on; null means that its rows have none. p_peers is a FROM item p with the number and the peer of each entity, if the block has several '
  '(_capture_blocks()).';
