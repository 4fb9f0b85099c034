create or replace function rowferry._column_pairs(
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
  with sides (node, facts, place) as (
    -- The first keeps its names: the one without p_columns, or else the first by name. Both nodes come to the same answer.
    select s.node, s.facts, row_number() over (order by s.facts ? 'named', s.node collate "C")
    from (select n.name, p_mine from rowferry.node n union all select p_peer, p_theirs) s (node, facts)
    where not (p_mine ? 'outbound' or p_theirs ? 'outbound')
  ), columns (place, name, local, type, travels) as (
    select s.place, c.key, c.value ->> 'local', c.value ->> 'type', true
    from sides s cross join lateral jsonb_each(s.facts -> 'columns') c
    where not s.facts -> 'key' ? c.key
    union all
    select s.place, c.key, c.key, c.value #>> '{}', false
    from sides s cross join lateral jsonb_each(s.facts -> 'others') c
    where not s.facts -> 'columns' ? c.key
  ), alone as (
    select c.*, count(*) over (partition by c.place, c.type) as candidates
    from columns c
    where not exists (select from columns o where o.place <> c.place and o.name = c.name)
  ), pairs (name, first_name, first_local, second_name, second_local) as (
    select case when s.travels and not f.travels then s.name else f.name end, f.name, f.local, s.name, s.local
    from alone f
    join alone s on f.place = 1 and s.place = 2 and s.type = f.type
    where f.candidates = 1 and s.candidates = 1
  ), maps (place, node, facts, before, after) as (
    select s.place, s.node, s.facts, b.map, (
      select jsonb_object_agg(coalesce(p.name, c.name), c.local)
      from (select key, value from jsonb_each_text(b.map) union select o.local, o.local from columns o where o.place = s.place and not o.travels and o.name in (
        select case s.place when 1 then p.first_name else p.second_name end from pairs p)) c (name, local)
      left join pairs p on case s.place when 1 then p.first_local else p.second_local end = c.local)
    from sides s
    cross join lateral (select jsonb_object_agg(key, value ->> 'local') from jsonb_each(s.facts -> 'columns')) b (map)
  )
  select format('if %s: %s', (
      select string_agg(format('%s''s %s is %s''s %s', s.node, p.second_local, f.node, p.first_local), ' and ' order by p.name collate "C")
      from pairs p
      join sides f on f.place = 1
      join sides s on s.place = 2),
    string_agg(format('select rowferry.attach(%L, %L%s);  -- on %s', m.facts ->> 'relation', p_entity, case
        when m.facts ? 'named' or exists (select from jsonb_each_text(m.after) a where a.key <> a.value)
          or exists (select from jsonb_object_keys(m.facts -> 'others') o where not m.after ? o) then format(', p_columns => %L', m.after) end, m.node),
      '; and: ' order by m.place desc))
  from maps m
  where m.before <> m.after and exists (select from pairs p where p_column in (p.first_name, p.second_name))
  having count(*) > 0
$$;
comment on function rowferry._column_pairs(text, text, text, jsonb, jsonb) is
  'For check(): what to type if a column of an entity that only one node keeps in sync, or that does not travel, has another name on the other node, by the '
  'facts of both. Two columns may be the same if they have one type and are the only ones of it that the other node has not by name. null: there is no such '
  'pair.';
