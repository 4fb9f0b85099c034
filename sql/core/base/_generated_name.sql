create or replace function rowferry._generated_name(
  p_prefix text,
  p_entity text
)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when octet_length(p_prefix || p_entity) <= 63 then p_prefix || p_entity
    else p_prefix || left(p_entity, 8) || '_' || left(md5(p_entity), 16)
  end;
end
$$;
comment on function rowferry._generated_name(text, text) is
  'Name of a generated object: prefix and entity. If that is longer than the 63 bytes of a name, a digest takes the place of the entity''s end.';
