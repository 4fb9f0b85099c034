create or replace function rowferry._in_order(
  p_section rowferry._section,
  out o_section rowferry._section,
  out o_aside jsonb
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set array_nulls = on
as $$
declare
  v_wanting record;
  v_rows integer[];
  v_holders integer[];
  v_columns text[];
  v_waits_for integer[];  -- how many rows each row waits for
  v_first integer[];  -- of each holder's entries, which are consecutive
  v_order integer[];
  v_count integer := cardinality(p_section.keys);
  v_gone jsonb;
  v_done integer := 0;
  v_next integer;
begin
  o_section := p_section;
  if v_count < 2 and p_section.gone is null or p_section.created then
    return;
  end if;
  execute format('select * from rowferry.%I($1, $2)', rowferry._generated_name('wanting_', p_section.entity)) into v_wanting
  using p_section.column_values, p_section.keys;
  perform rowferry._left_nothing();
  select jsonb_object_agg(a.col, a.keys) into v_gone
  from (
    select w.aside as col, jsonb_agg(distinct w.holder) as keys
    from unnest(v_wanting.o_holders, v_wanting.o_aside) w (holder, aside)
    where w.holder in (select unnest(p_section.gone)) and rowferry._gives_up(p_section.entity, w.aside)
    group by w.aside
  ) a;
  o_aside := v_gone;
  select array_agg(r.ord order by h.ord), array_agg(h.ord order by h.ord), array_agg(w.aside order by h.ord)
  into v_rows, v_holders, v_columns
  from unnest(v_wanting.o_keys, v_wanting.o_holders, v_wanting.o_aside) w (record_id, holder, aside)
  join unnest(p_section.keys) with ordinality r (record_id, ord) on r.record_id = w.record_id
  join unnest(p_section.keys) with ordinality h (record_id, ord) on h.record_id = w.holder;
  if v_rows is null then
    return;
  end if;
  o_aside := coalesce(v_gone, '{}');
  v_waits_for := array_fill(0, array[v_count]);
  v_first := array_fill(null::integer, array[v_count]);
  for i in reverse cardinality(v_rows) .. 1 loop
    v_waits_for[v_rows[i]] := v_waits_for[v_rows[i]] + 1;
    v_first[v_holders[i]] := i;
  end loop;
  v_order := array(select i from generate_series(1, v_count) i where v_waits_for[i] = 0);
  while v_done < cardinality(v_order) loop
    v_done := v_done + 1;
    v_next := v_first[v_order[v_done]];
    while v_holders[v_next] = v_order[v_done] loop
      v_waits_for[v_rows[v_next]] := v_waits_for[v_rows[v_next]] - 1;
      if v_waits_for[v_rows[v_next]] = 0 then
        v_order := v_order || v_rows[v_next];
      end if;
      v_next := v_next + 1;
    end loop;
  end loop;
  if v_done < v_count then
    select o_aside || coalesce(jsonb_object_agg(a.col, coalesce(v_gone -> a.col, '[]') || a.keys), '{}') into o_aside
    from (
      select e.col, jsonb_agg(distinct p_section.keys[e.holder]) as keys
      from unnest(v_rows, v_holders, v_columns) e (waiting, holder, col)
      where v_waits_for[e.waiting] > 0 and v_waits_for[e.holder] > 0 and e.col is not null
      group by e.col
    ) a;
    v_order := v_order || array(select i from generate_series(1, v_count) i where v_waits_for[i] > 0);
  end if;
  o_section.keys := array(select p_section.keys[o.i] from unnest(v_order) with ordinality o (i, ord) order by o.ord);
  select array_agg((
      select array_agg(v.value order by o.ord)::text
      from unnest(c.literal::text[]) with ordinality v (value, i)
      join unnest(v_order) with ordinality o (i, ord) using (i)) order by c.ord)
  into o_section.column_values
  from unnest(p_section.column_values) with ordinality c (literal, ord);
end
$$;
comment on function rowferry._in_order(rowferry._section) is
  'A section in which each row stands behind those of its rows that hold a unique value which it needs. o_aside has rows that must give such a value up '
  'first, as {column: [record_id, ..]}: they need values of each other in a circle, or are to be deleted and hold a value that is needed (_gives_up). It is '
  'null if no row waits for another.';
