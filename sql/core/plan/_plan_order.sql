create or replace function rowferry._plan_order(
  p_tables text[],
  p_facts jsonb
)
returns text[]
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_left text[] := p_tables;
  v_order text[] := '{}';
  v_next text;
begin
  while v_left <> '{}' loop
    v_next := (
      select min(t collate "C") from unnest(v_left) t
      where not exists (select from jsonb_array_elements(p_facts #> array['tables', t, 'parents']) p where p ->> 'table' = any (v_left)));
    if v_next is null then
      -- All that is left is in a circle or below one: a table comes next whose ancestors are all below it too.
      with recursive up (name, ancestor) as (
        select t, p ->> 'table'
        from unnest(v_left) t cross join lateral jsonb_array_elements(p_facts #> array['tables', t, 'parents']) p
        where p ->> 'table' = any (v_left)
        union
        select u.name, p ->> 'table'
        from up u cross join lateral jsonb_array_elements(p_facts #> array['tables', u.ancestor, 'parents']) p
        where p ->> 'table' = any (v_left)
      )
      select min(t collate "C") into v_next
      from unnest(v_left) t
      where not exists (
        select from up u where u.name = t and not exists (select from up b where b.name = u.ancestor and b.ancestor = t));
    end if;
    v_order := v_order || v_next;
    v_left := array_remove(v_left, v_next);
  end loop;
  return v_order;
end
$$;
comment on function rowferry._plan_order(text[], jsonb) is
  'For plan(): the tables, parents before children, else by name. Of tables that refer to each other in a circle the first by name comes first.';
