-- Queues what follows some records of an entity, each with the stamp and the hops given with it, and what follows that; of a table that only receives, nothing is ever sent. RF101: these would be more than p_most of one entity.
create or replace function rowferry._queue_following(
  p_entity rowferry.entities,
  p_records text[],
  p_stamps timestamptz[],
  p_hops smallint[],
  p_most integer
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_child rowferry.entities;
  v_found record;
begin
  for v_child in select c.* from rowferry.entities c where c.within = p_entity.name and c.direction <> 'receive' order by c.id loop
    execute format('select * from rowferry.%I($1, null, $2)', rowferry._generated_name('followers_', v_child.name)) into v_found using p_records, p_most + 1;
    perform rowferry._left_nothing();
    if cardinality(v_found.o_keys) > p_most then
      raise exception using errcode = 'RF101', message = 'too many rows follow these for one step';
    elsif v_found.o_keys is not null then
      perform rowferry._queue_records(v_child, array_agg(f.key), array_agg(f.is_within), array_agg(r.stamp), array_agg(r.hops), p_most)
      from unnest(v_found.o_parents, v_found.o_keys, v_found.o_within) f (parent, key, is_within)
      join unnest(p_records, p_stamps, p_hops) r (record_id, stamp, hops) on r.record_id = f.parent;
    end if;
  end loop;
end
$$;
comment on function rowferry._queue_following(rowferry.entities, text[], timestamptz[], smallint[], integer) is 'Queues what follows some records of an entity.';
