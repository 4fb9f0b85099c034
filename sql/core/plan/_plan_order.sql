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
    select coalesce(min(t collate "C") filter (where not exists (
        select from jsonb_array_elements(p_facts #> array['tables', t, 'parents']) p where p ->> 'table' = any (v_left))), min(t collate "C"))
    into v_next
    from unnest(v_left) t;
    v_order := v_order || v_next;
    v_left := array_remove(v_left, v_next);
  end loop;
  return v_order;
end
$$;
comment on function rowferry._plan_order(text[], jsonb) is
  'For plan(): the tables, parents before children, else by name. Of tables that refer to each other in a circle the first by name comes first.';
