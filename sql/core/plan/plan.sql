create or replace function rowferry.plan(
  p_mine jsonb,
  p_theirs jsonb,
  p_filters jsonb default '{}'
)
returns table (
  file text,
  line text
)
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
set jit = off
as $$
declare
  v_link rowferry.links := rowferry._find_link(p_theirs ->> 'node');
  v_pairs jsonb;
  v_name text;
  v_pair jsonb;
  v_call record;
  v_attached text[] := '{}';  -- statements of the file down
  v_verified text[] := '{}';
  v_sequences text[] := '{}';
  v_restarts text[] := '{}';
  v_rows text[] := '{}';
  v_apart text[];
  v_followed jsonb;  -- tables of which only some rows are kept in sync: their entities
  v_kept text[];  -- tables that are or will be kept in sync
  v_filter record;
begin
  select coalesce(jsonb_object_agg(p.mine, to_jsonb(p)), '{}') into v_pairs from rowferry._plan_pairs(p_mine, p_theirs) p;
  select f.filter, f.tables into v_filter
  from (
    select f, (select array_agg(p.key order by p.key) from jsonb_each(v_pairs) p
      where f in (p.key, p.value ->> 'entity', p_mine #>> array['tables', p.key, 'short']))
    from jsonb_object_keys(p_filters) f) f (filter, tables)
  where cardinality(f.tables) = 1 is not true
  order by f.filter limit 1;
  if v_filter.tables is not null then
    raise exception using errcode = 'RF011', message = 'a filter is given for several tables of one name',
      detail = format('%s: %s.', v_filter.filter, array_to_string(v_filter.tables, ', ')), hint = 'Name one of them with its schema, as schema.table.';
  elsif v_filter.filter is not null then
    raise exception using errcode = 'RF011', message = 'a filter is given for a table that the plan does not have', detail = format('%s.', v_filter.filter),
      hint = 'Name a table that both nodes have, as schema.table or as its entity.';
  end if;
  select array_agg(p.key), coalesce(jsonb_object_agg(p.key, p.value ->> 'entity') filter (where (p_mine #>> array['tables', p.key, 'filtered'])::boolean), '{}')
  into v_kept, v_followed
  from jsonb_each(v_pairs) p where p.value ->> 'problem' is null or (p.value ->> 'is_attached')::boolean;
  return query
  select 'up', rowferry._plan_comment(h)
  from unnest(array[
    format('%s: tables to keep in sync with %s, parents first. rowferry plan made this; read it before it runs.', p_mine ->> 'node', v_link.peer)]) h
  union all select 'up', format('select rowferry.require_core(%s);', rowferry.version());
  for v_name in
    select t from unnest(rowferry._plan_order((
      select coalesce(array_agg(p.key), '{}') from jsonb_each(v_pairs) p
      where p.value ->> 'problem' is null and not (p.value ->> 'is_attached')::boolean), p_mine)) with ordinality t (t, place) order by t.place
  loop
    v_pair := v_pairs -> v_name;
    v_call := rowferry._plan_call(v_pair, p_mine, p_theirs, v_followed, v_kept,
      coalesce(p_filters ->> v_name, p_filters ->> (v_pair ->> 'entity'), p_filters ->> (p_mine #>> array['tables', v_name, 'short'])));
    if v_call.o_problem is null and strpos(concat(v_call.o_statement, v_call.o_sequences), chr(13)) > 0 then
      v_call.o_problem := 'a name in it, or its filter, has a carriage return, which no file of a revision may have: call attach() in psql, on both nodes';
    end if;
    if v_call.o_problem is not null then
      v_kept := array_remove(v_kept, v_name);
      v_pairs := jsonb_set(v_pairs, array[v_name, 'problem'], to_jsonb(v_call.o_problem));
      continue;
    end if;
    if v_call.o_is_filtered then
      v_followed := v_followed || jsonb_build_object(v_name, v_pair ->> 'entity');
    end if;
    return query select 'up', '' where v_call.o_notes <> '{}' or v_attached = '{}'
      union all select 'up', rowferry._plan_comment(n) from unnest(v_call.o_notes) n
      union all select 'up', v_call.o_statement;
    v_attached := format('select rowferry.detach(%L, p_if_attached => true);', v_pair ->> 'entity') || v_attached;
    v_verified := v_verified || format('select exists (select from rowferry.entities e where e.name = %L), %L', v_pair ->> 'entity',
      'entity ' || (v_pair ->> 'entity'));
    v_sequences := v_sequences || v_call.o_sequences;
    v_restarts := v_restarts || v_call.o_restarts;
    v_rows := v_rows || v_call.o_rows;
  end loop;
  v_apart := array(
    select format('%s: %s', t.name, t.why)
    from (
      select p.key, p.value ->> 'problem'
      from jsonb_each(v_pairs) p
      where p.value ->> 'problem' is not null and not (p.value ->> 'is_attached')::boolean
      union all
      select p.key, format('it is attached already; to give it this filter: select rowferry.attach(%L, %L, p_filter => %L);', p.key,
        p.value ->> 'entity', f.value)
      from jsonb_each(v_pairs) p
      join jsonb_each_text(p_filters) f on f.key in (p.key, p.value ->> 'entity', p_mine #>> array['tables', p.key, 'short'])
      where (p.value ->> 'is_attached')::boolean
      union all
      select t.key, coalesce(t.value ->> 'problem', t.value ->> 'aside', l.line)
      from jsonb_each(p_mine -> 'tables') t
      left join rowferry._plan_lone(p_mine, p_theirs, v_pairs) l on l.mine = t.key
      where not v_pairs ? t.key and not t.value ? 'entity'
      union all
      select t.key, format('only %s has a table of this name', v_link.peer)
      from jsonb_each(p_theirs -> 'tables') t
      where not t.value ? 'aside' and not p_mine -> 'tables' ? t.key and not exists (select from jsonb_each(v_pairs) p where p.value ->> 'theirs' = t.key)
    ) t (name, why)
    order by t.name);
  return query
  select 'up', l.line
  from (
    select 1, p.place, p.line
    from unnest(array['', '-- Keys that both nodes draw from sequences are kept apart:'] || array(select distinct s from unnest(v_sequences) s order by s)
      || rowferry._plan_comment('Once rows of the other node are here, on both nodes again: select * from rowferry.stagger_sequences();'))
      with ordinality p (line, place) where v_sequences <> '{}'
    union all
    select 2, p.place, case when p.place > 1 then rowferry._plan_comment(p.line) else '' end
    from unnest(array['', 'Rows that are there already, in psql, while the worker runs:'] || v_rows) with ordinality p (line, place) where v_rows <> '{}'
    union all
    select 3, p.place, case when p.place > 1 then rowferry._plan_comment(p.line) else '' end
    from unnest(array['', 'Not attached, and why:'] || v_apart) with ordinality p (line, place) where v_apart <> '{}'
    union all
    select 4, p.place, case when p.place > 1 then rowferry._plan_comment(p.line) else '' end
    from unnest(array['', 'There is nothing to attach.']) with ordinality p (line, place) where v_attached = '{}'
  ) l (part, place, line)
  order by l.part, l.place;
  return query
  select 'down', '-- Refused while changes wait to be sent.'
  union all
  select 'down', s.line from unnest(v_attached) with ordinality s (line, place)
  union all
  select 'down', rowferry._plan_comment(s) from unnest(
    array(select 'Sequences keep their increment. To move each past all values of its column and give it back, once both nodes have detached the tables '
      '(of others that were staggered, so too: select * from rowferry.staggered_sequences;):' where v_restarts <> '{}')
    || array(select distinct r from unnest(v_restarts) r order by r)) s;
  return query
  select 'verify', v.line || case when v.place = count(*) over () then ';' else ' union all' end
  from unnest(case when v_verified = '{}' then array['select true, ''there is nothing to attach'''] else v_verified end) with ordinality v (line, place)
  order by v.place;
end
$$;
comment on function rowferry.plan(jsonb, jsonb, jsonb) is
  'The SQL files of a site''s revision that attaches, on this node, what both nodes have: file is up, down or verify, and line a line of it. p_mine and '
  'p_theirs are what plan_facts() says on this node and on the other. p_filters has conditions by table or entity, as p_filter of attach() has; rows of '
  'tables that refer to such a table follow it. What cannot be attached stands in comments, each with its reason. Nothing is changed: rowferry plan prints it.';
