-- The row hasher of an entity, as DDL: the keys, among those given, of the rows that are there, with a hash of each row's text, equal on both nodes for equal
-- rows (not p_hash: only the keys). With p_bytes, rows beyond so many bytes are left out (o_cut; one always fits), and those of more than 4 MB (o_large).
-- STABLE, so that it sees the snapshot of the statement that looks into the queue.
create or replace function rowferry._hash_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_values text;
  v_parts record;
begin
  -- By the type's output function, never a cast; char(n) is padded to a length of each node's own.
  select string_agg(format(case when c.type = 'bpchar' then 'rtrim(textin(%s(t.%I)))' else 'textin(%s(t.%I))' end, c.output, c.local), ', ' order by c.place)
  into v_values
  from rowferry._entity_columns(p_entity) c;
  select * into v_parts from rowferry._reader_parts(p_entity);
  return format($f$create or replace function rowferry.%1$I(
  p_keys text[],
  p_bytes bigint,
  p_hash boolean,
  out o_keys text[],
  out o_hashes bigint[],
  out o_cut text[],
  out o_large text[]
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set row_security = off
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $rowferry$
#variable_conflict use_column
begin
%6$s  if p_bytes is not null then
    select array_agg(r.record_id) filter (where r.before <= p_bytes and r.size <= 4194304),
      array_agg(r.record_id) filter (where r.before > p_bytes and r.size <= 4194304),
      array_agg(r.record_id) filter (where r.size > 4194304)
    into p_keys, o_cut, o_large
    from (
      select s.record_id, s.size, sum(s.size) filter (where s.size <= 4194304) over (rows unbounded preceding) - s.size
      from (select %2$s, (%3$s)::bigint from %4$s) s (record_id, size)
    ) r (record_id, size, before);
  end if;
  select array_agg(%2$s), array_agg(case when $3 then hashtextextended(array[%5$s]::text collate "C", 0) end)
  into o_keys, o_hashes
  from %4$s;
exception
  when sqlstate 'RF102' then
    raise;  -- only a block with handlers is a subtransaction
end
$rowferry$$f$,
    rowferry._generated_name('hash_', p_entity.name), rowferry._record_id_sql(p_entity, 't'), v_parts.o_size, v_parts.o_rows, v_values, v_parts.o_check);
end
$function$;
comment on function rowferry._hash_sql(rowferry.entities) is 'DDL of the function that hashes rows of an entity.';
