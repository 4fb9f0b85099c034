create or replace function rowferry._check_header(
  p_header jsonb
)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if jsonb_typeof(p_header) <> 'object' or (p_header ->> 'from') is null or (p_header ->> 'to') is null or (p_header ->> 'token') is null
    or (p_header ->> 'generation')::bigint is null or (p_header ->> 'received')::bigint is null or (p_header ->> 'retired')::bigint is null
    or (p_header ->> 'top')::bigint is null or (p_header ->> 'built')::bigint is null or (p_header ->> 'target_ms')::integer is null
    or coalesce(jsonb_typeof(p_header -> 'hush'), 'boolean') <> 'boolean'
    or jsonb_typeof(p_header -> 'identity') is distinct from 'object' or length(p_header ->> 'identity') > 1000
    or jsonb_typeof(p_header -> 'acks') is distinct from 'array' or jsonb_typeof(p_header -> 'sections') is distinct from 'array'
    or (p_header ->> 'received_tag')::uuid is null and (p_header ->> 'received')::bigint > 0
    or (p_header ->> 'number')::bigint is not null and ((p_header ->> 'tag')::uuid is null or (p_header ->> 'ids')::int8multirange is null)
    or exists (
      select from jsonb_array_elements(p_header -> 'acks') a
      where (a ->> 'number')::bigint is null or (a ->> 'tag')::uuid is null or (a ->> 'ids')::int8multirange is null
        or (a ->> 'applied_ms')::integer is null or jsonb_typeof(a -> 'refusals') is distinct from 'array'
        or jsonb_typeof(a -> 'conflicts') is distinct from 'array'
        or exists (select from jsonb_each(a -> 'effect') e
          where (e.value ->> 'records')::bigint is null or (e.value ->> 'deletes')::bigint is null or (e.value ->> 'refused')::bigint is null)) then
    raise exception using errcode = '22023', message = 'a field of the header is missing';
  end if;
end
$$;
comment on function rowferry._check_header(jsonb) is
  'Raises an error (22023, or that of a cast) if the header of an envelope lacks a field that each header has, or a field has another type. _decode() '
  'catches it. The digest does not show this: it tells only that nothing was altered, not who made the envelope.';
