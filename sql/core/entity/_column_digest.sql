create or replace function rowferry._column_digest(
  p_relation regclass
)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select hashtextextended(string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod), ',' order by a.attnum) collate "C", 0)
    from pg_attribute a
    where a.attrelid = p_relation and a.attnum > 0
  );
end
$$;
comment on function rowferry._column_digest(regclass) is
  'Digest of the columns of a table. It is one scan of an index, and so tells quickly that no column has changed. VOLATILE: it sees the table as it is once '
  'the caller has locked it against ALTER TABLE, and not as the caller''s snapshot has it.';
