create or replace function rowferry._column_fix(
  p_peer text,
  p_entity text,
  p_column text,
  p_mine jsonb,
  p_theirs jsonb
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  -- All columns that the other node lacks stand in one call, because a second call would leave out what the first one took in.
  select coalesce(rowferry._column_pairs(p_peer, p_entity, p_column, p_mine, p_theirs) || '; otherwise: ', '')
    || format('%s  -- on %s, once %s there has %s%s', rowferry._take_in_call(p_entity, l.facts, (select jsonb_object_agg(c, c) from unnest(w.more) c)),
      l.node, coalesce(l.facts ->> 'outbound', l.facts ->> 'relation'), array_to_string(w.more, ', '),
      case when l.facts ? 'named' then ' (what it is called there stands on the right)' end)
    || case when not h.facts -> 'key' ?| w.more then format('; or without it: select rowferry.attach(%L, %L, p_columns => %L); on %s', h.facts ->> 'relation',
      p_entity, (select jsonb_object_agg(key, value ->> 'local') from jsonb_each(h.facts -> 'columns') where key <> all (w.more)), h.node) else '' end
  from (select (select n.name from rowferry.node n), p_mine, p_mine -> 'columns' ? p_column) m (node, facts, has)
  cross join (select p_peer, p_theirs) t (node, facts)
  cross join lateral (select case when m.has then m.node else t.node end, case when m.has then m.facts else t.facts end) h (node, facts)
  cross join lateral (select case when m.has then t.node else m.node end, case when m.has then t.facts else m.facts end) l (node, facts)
  cross join lateral (
    select array_agg(c order by c collate "C") from jsonb_object_keys(h.facts -> 'columns') c where not l.facts -> 'columns' ? c) w (more)
$$;
comment on function rowferry._column_fix(text, text, text, jsonb, jsonb) is
  'For check(): what to type if only one node keeps a column of an entity in sync, by the facts of both: the call of attach() that pairs it with one of '
  'another name, the one that takes it in on the other node, and the one that leaves it out on the node that has it.';
