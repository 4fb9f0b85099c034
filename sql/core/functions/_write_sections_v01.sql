-- Writes sections that are given parents first: upserts in this order, deletes in the other. A question is answered with an event of
-- this node's own row at the lowest stamp.
create or replace function rowferry._write_sections(
  p_sections rowferry._section[],
  p_deletes_first boolean
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity text;
  v_section_hops smallint;
  v_hops smallint := 1;
  v_step text;
  v_index integer;
  v_asked boolean := false;
  -- Before PostgreSQL 18 a deferred trigger has the rights of whoever makes it fire: with tables of several owners, each fires its own.
  v_each boolean := current_setting('server_version_num')::integer < 180000 and (
    select count(distinct c.relowner) > 1
    from generate_subscripts(p_sections, 1) i join rowferry.entities e on e.name = (p_sections[i]).entity join pg_class c on c.oid = e.relation);
begin
  foreach v_step in array case when p_deletes_first then array['delete', 'apply'] else array['apply', 'delete'] end loop
    for i in 1 .. cardinality(p_sections) loop
      v_asked := v_asked or (p_sections[i]).asked is not null;
      v_index := case v_step when 'apply' then i else cardinality(p_sections) + 1 - i end;
      continue when case v_step when 'apply' then (p_sections[v_index]).keys is null else (p_sections[v_index]).gone is null end;
      v_entity := (p_sections[v_index]).entity;
      v_section_hops := coalesce((p_sections[v_index]).hops, 0) + 1;
      if v_hops <> v_section_hops then
        v_hops := v_section_hops;
        update rowferry.applying a set hops = v_hops where a.transaction_id = pg_current_xact_id() and a.entity_id = 0;
      end if;
      perform set_config('rowferry.applying', 'on', true);  -- a trigger may have turned it off
      if v_step = 'apply' then
        execute format('select rowferry.%I($1, $2)', rowferry._object_name('apply_', v_entity))
        using (p_sections[v_index]).column_values, coalesce((p_sections[v_index]).created, false);
        perform rowferry._left_nothing();
      else
        execute format('select rowferry.%I($1)', rowferry._object_name('delete_', v_entity)) using (p_sections[v_index]).gone;
        perform rowferry._left_nothing();
      end if;
      if v_each then
        perform rowferry._finish(p_sections[v_index:v_index]);
        set constraints all deferred;
      end if;
    end loop;
  end loop;
  if v_asked then
    insert into rowferry.events (changed_at, entity_id, event_type, record_id)
    select rowferry._now(), e.id, 'a', k
    from generate_subscripts(p_sections, 1) i
    join rowferry.entities e on e.name = (p_sections[i]).entity
    cross join lateral unnest((p_sections[i]).asked) k;
  end if;
end
$$;
comment on function rowferry._write_sections(rowferry._section[], boolean) is 'Writes sections, and answers their questions.';
revoke all on function rowferry._write_sections(rowferry._section[], boolean) from public;
