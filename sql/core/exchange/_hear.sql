create or replace function rowferry._hear(
  p_link rowferry.links,
  p_header jsonb,
  p_sections rowferry._section[],
  out o_link rowferry.links,
  out o_applied integer,
  out o_refused integer,
  out o_conflicts integer,
  out o_retired integer,
  out o_left int8multirange,
  out o_compare jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_number constant bigint := (p_header ->> 'number')::bigint;
  v_result record;
begin
  o_link := p_link;
  o_applied := 0;
  o_refused := 0;
  o_conflicts := 0;
  o_retired := 0;
  o_left := '{}';
  if o_link.stopped_at is not null or p_header is null or (p_header ->> 'generation')::bigint > o_link.generation then
    return;
  end if;
  o_link.stopped_reason := rowferry._check_memory(o_link, p_header);
  if o_link.stopped_reason is not null then
    o_link.stopped_at := rowferry._now();
    return;
  elsif (p_header ->> 'generation')::bigint < o_link.generation or v_number > o_link.received + 1 then
    return;
  end if;
  o_link := rowferry._meet(o_link, p_header);
  if v_number = o_link.received + 1 then
    v_result := rowferry._take(o_link, p_header, p_sections);
    o_link := v_result.o_link;
    o_applied := v_result.o_applied;
    o_refused := v_result.o_refused;
    o_conflicts := v_result.o_conflicts;
  end if;
  if (p_header ->> 'top')::bigint <= o_link.received then
    v_result := rowferry._honour_acks(o_link, p_header);
    o_link := v_result.o_link;
    o_retired := v_result.o_retired;
    o_left := v_result.o_left;
    if (p_header ->> 'top')::bigint = o_link.received and (p_header ->> 'received')::bigint = o_link.acked then
      o_compare := p_header -> 'compare';
    end if;
  end if;
end
$$;
comment on function rowferry._hear(rowferry.links, jsonb, rowferry._section[]) is
  'Takes what the peer''s envelope says. It checks both memories, which may stop the link, applies the peer''s batch if it is the next one (R2), and honours '
  'the peer''s acknowledgements if every batch that the peer had built when it wrote them has been applied (R5). o_left has the events of this node that '
  'were removed from the queue. o_compare is what the peer says about comparisons, if this is its newest envelope.';
