create or replace function rowferry.help(
  p_name text default null
)
returns setof text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  c_name constant text := regexp_replace(lower(btrim(p_name)), '^rowferry[.]|[(].*$', '', 'g');
  v_one record;
begin
  if c_name is null then
    return query
    select l.line
    from (
      select 'call', 1, '', 'Calls; select rowferry.help(''skip''); says more of one of them:'
      union all
      select 'view', 1, '', 'Views:'
      union all
      -- Of overloads one line.
      select s.kind, 2, s.name, format('  %s %s', rpad(s.name, 17), w.line || case when length(w.line) < length(s.sentence) then ' ..' else '' end)
      from (
        select c.kind, c.name, min(rtrim(substring(c.comment from '^.*?[.:;](?=[[:space:]]|$)'), '.:;'))
        from rowferry._calls c where c.comment is not null group by c.kind, c.name
      ) s (kind, name, sentence)
      cross join lateral (select l from rowferry._wrapped(s.sentence, 96, '') l limit 1) w (line)
    ) l (kind, part, name, line)
    order by l.kind, l.part, l.name;
    return;
  end if;
  for v_one in select c.* from rowferry._calls c where c.name = c_name order by c.kind, c.oid loop
    if v_one.kind = 'call' then
      return query
      select rowferry._wrapped(format('%s(%s)', v_one.name,
        regexp_replace(pg_get_function_arguments(v_one.oid), E'DEFAULT ([^,:]+)(::[a-z]+(\\[\\])?)?', E'default \\1', 'g')), 96, '')
      union all
      select rowferry._wrapped('returns ' || lower(r.result), 94, '  ')
      from (select pg_get_function_result(v_one.oid)) r (result) where r.result <> 'void';
    else
      return next v_one.name;
    end if;
    return query
    select ''
    union all
    select rowferry._wrapped(v_one.comment, 96, '')
    union all
    select ''
    union all
    select rowferry._wrapped(format('%s: %s', a.attname, col_description(a.attrelid, a.attnum)), 94, '  ')
    from pg_attribute a
    where v_one.kind = 'view' and a.attrelid = v_one.oid and a.attnum > 0 and not a.attisdropped;
  end loop;
  if not found then
    return next format('There is no call and no view of the name %s: select rowferry.help(); lists them.', c_name);
  end if;
end
$$;
comment on function rowferry.help(text) is
  'One page about a call or a view, select rowferry.help(''skip''); or a line for each of them, select rowferry.help();';
