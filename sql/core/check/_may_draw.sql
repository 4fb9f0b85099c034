-- The range of values that a sequence, as the facts tell it, can still draw; no row for none.
create or replace function rowferry._may_draw(
  p_sequence jsonb,
  out o_from numeric,
  out o_to numeric
)
returns setof record
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select case when s.cycle or s.increment < 0 then s.least else s.next end, case when s.cycle or s.increment > 0 then s.most else s.next end
  from jsonb_to_record(p_sequence) s (next numeric, increment numeric, least numeric, most numeric, cycle boolean)
  where p_sequence is not null
$$;
comment on function rowferry._may_draw(jsonb) is 'The range of values that a sequence can still draw.';
