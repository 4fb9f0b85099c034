create or replace function rowferry._split_section(
  p_section rowferry._section,
  p_first integer,
  p_size integer
)
returns setof rowferry._section
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_piece rowferry._section := p_section;
  v_row record;
  v_keys integer := coalesce(cardinality(p_section.keys), 0);
  v_gone integer := v_keys + coalesce(cardinality(p_section.gone), 0);
begin
  for v_row in
    with places as (
      select k.record_id, k.ord, (greatest(0, k.ord - p_first) + p_size - 1) / p_size as piece
      from unnest(p_section.keys || p_section.gone || p_section.asked) with ordinality k (record_id, ord)
    ), records as (
      select p.piece, array_agg(p.record_id order by p.ord) filter (where p.ord <= v_keys) as keys,
        array_agg(p.record_id order by p.ord) filter (where p.ord > v_keys and p.ord <= v_gone) as gone,
        array_agg(p.record_id order by p.ord) filter (where p.ord > v_gone) as asked
      from places p
      group by p.piece
    ), events as (
      select p.piece, array_agg(e.record_id) as keys, array_agg(e.id) as ids, array_agg(e.stamp) as stamps, array_agg(e.hops) as hops
      from places p
      join unnest(p_section.event_keys, p_section.event_ids, p_section.event_stamps, p_section.event_hops) e (record_id, id, stamp, hops)
        using (record_id)
      group by p.piece
    ), literals as (
      select v.piece, array_agg(v.literal order by v.ord) as literals
      from (
        select p.piece, c.ord, array_agg(v.value order by v.ord)::text as literal
        from unnest(p_section.column_values) with ordinality c (literal, ord)
        cross join lateral unnest(c.literal::text[]) with ordinality v (value, ord)
        join places p on p.ord = v.ord
        group by p.piece, c.ord
      ) v
      group by v.piece
    )
    select r.keys, r.gone, r.asked, e.keys as event_keys, e.ids, e.stamps, e.hops, l.literals
    from records r
    left join events e using (piece)
    left join literals l using (piece)
    order by r.piece
  loop
    v_piece.keys := v_row.keys;
    v_piece.gone := v_row.gone;
    v_piece.asked := v_row.asked;
    v_piece.event_keys := v_row.event_keys;
    v_piece.event_ids := v_row.ids;
    v_piece.event_stamps := v_row.stamps;
    v_piece.event_hops := case when p_section.event_hops is not null then v_row.hops end;
    v_piece.column_values := coalesce(v_row.literals, array_fill(null::text, array[cardinality(p_section.columns)]));
    return next v_piece;
  end loop;
end
$$;
comment on function rowferry._split_section(rowferry._section, integer, integer) is
  'Cuts a section, in its order, into one piece of p_first records and pieces of p_size records each.';
