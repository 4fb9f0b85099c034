create or replace function rowferry._refers_to_deleted(
  p_entity rowferry.entities,
  p_record_id text,
  p_event_id bigint,
  p_refers jsonb,
  out o_cause text,
  out o_next text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case
      when p_refers ? 'table' then format('%s on %s, which is not kept in sync, has a row that refers to it', p_refers ->> 'table', p_entity.peer)
      when p_refers ->> 'record_id' is null then format('a row of %s on %s refers to it', p_refers ->> 'entity', p_entity.peer)
      else format('%s deleted %s %s, and %s made or changed %s %s, which refers to it: the one excludes the other, and both wait',
        (select n.name from rowferry.node n), p_entity.name, p_record_id, p_entity.peer, p_refers ->> 'entity', p_refers ->> 'record_id') end,
    case
      when p_refers ? 'table' then format('select * from rowferry.retry(%1$s);  -- once no row of %2$s on %3$s refers to it: '
        'change or delete these rows there; or keep %4$s %5$s, whose row comes back%6$s: select * from rowferry.skip(%1$s);',
        p_event_id, p_refers ->> 'table', p_entity.peer, p_entity.name, p_record_id, f.unless)
      when p_refers ->> 'record_id' is null then format('select * from rowferry.retry(%1$s);  -- once no row of %2$s on %3$s refers to it, '
        'whose deletes may wait too; or keep %4$s %5$s, whose row comes back%6$s: select * from rowferry.skip(%1$s);',
        p_event_id, p_refers ->> 'entity', p_entity.peer, p_entity.name, p_record_id, f.unless)
      else format('select * from rowferry.skip(%s);  -- keeps %s %s, whose row comes back from %s%s; '
        'or give up the rows that refer to it, and the delete is then sent: on %4$s, select * from rowferry.why_stuck(); has the line',
        p_event_id, p_entity.name, p_record_id, p_entity.peer, f.unless) end
  from (select case when coalesce(p_entity.filter, p_entity.within) is not null then ' unless it has left the filter here' end) f (unless)
  where p_refers is not null
$$;
comment on function rowferry._refers_to_deleted(rowferry.entities, text, bigint, jsonb) is
  'For a delete that the peer refused because a row there refers to the record: what is the case, and the line to type. p_refers is from _decide_orphan().';
