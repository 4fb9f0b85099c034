create or replace function rowferry._effect(
  p_sections rowferry._section[],
  p_ids int8multirange,
  p_taken int8multirange,
  p_refusals jsonb
)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_effect jsonb := '{}';
  v_entity text;
  v_before jsonb;
  v_left text[];
  v_records bigint;
  v_deletes bigint;
  v_refused bigint;
begin
  for i in 1 .. cardinality(p_sections) loop
    v_entity := (p_sections[i]).entity;
    v_deletes := coalesce(cardinality((p_sections[i]).gone), 0);
    v_records := v_deletes + coalesce(cardinality((p_sections[i]).keys), 0) + coalesce(cardinality((p_sections[i]).asked), 0);
    v_refused := 0;
    if p_taken <> p_ids then
      v_left := array(
        select distinct e.record_id
        from unnest((p_sections[i]).event_keys, (p_sections[i]).event_ids) e (record_id, id)
        where not e.id <@ p_taken);
      v_records := v_records - cardinality(v_left);
      v_deletes := (select count(*) from unnest((p_sections[i]).gone) g where g not in (select unnest(v_left)));
      -- An entity may be refused as a whole.
      v_refused := case
        when exists (select from jsonb_array_elements(p_refusals) r where r ->> 'entity' = v_entity and not r ? 'record_id') then cardinality(v_left)
        else (
          select count(*)
          from unnest(v_left) l
          where l in (select r ->> 'record_id' from jsonb_array_elements(p_refusals) r where r ->> 'entity' = v_entity and r ? 'sqlstate'))
      end;
    end if;
    v_before := v_effect -> v_entity;
    v_effect := v_effect || jsonb_build_object(v_entity, jsonb_build_object(
      'records', coalesce((v_before ->> 'records')::bigint, 0) + v_records,
      'deletes', coalesce((v_before ->> 'deletes')::bigint, 0) + v_deletes,
      'refused', coalesce((v_before ->> 'refused')::bigint, 0) + v_refused));
  end loop;
  return v_effect;
end
$$;
comment on function rowferry._effect(rowferry._section[], int8multirange, int8multirange, jsonb) is
  'What a batch did, by entity, as {"accounts": {"records": 7, "deletes": 1, "refused": 2}}. records are those that were taken, with the deletes; what '
  'was found locked or was not tried is in none of the three.';
