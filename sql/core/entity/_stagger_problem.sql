create or replace function rowferry._stagger_problem(
  p_sequence jsonb,
  p_other jsonb
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when s.increment < 0 then 'it counts downwards'
    when s.cycle then 'it cycles: after its largest value it draws the first ones again, whichever node they belong to'
    when o.increment < 0 or o.cycle then 'the sequence of the other node, which feeds the same column, counts downwards or cycles'
    when coalesce(s.block, s.increment) <> coalesce(o.block, o.increment) then
      format('it counts by %s, and the sequence of the other node, which feeds the same column, by %s',
        coalesce(s.block, s.increment), coalesce(o.block, o.increment))
    when greatest(s.next, o.next) + 2 * coalesce(s.block, s.increment) > s.most
      then format('its largest value is %s, and %s is reached', s.most, greatest(s.next, o.next))
  end
  from jsonb_to_record(p_sequence) s (next numeric, increment numeric, block numeric, most numeric, cycle boolean)
  cross join jsonb_to_record(coalesce(p_other, '{}')) o (next numeric, increment numeric, block numeric, cycle boolean)
$$;
comment on function rowferry._stagger_problem(jsonb, jsonb) is
  'Why a sequence, as the facts tell it, cannot draw values in turn with the other node''s sequence that feeds the same column (null: there is none); '
  'null: it can.';
