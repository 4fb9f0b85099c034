create or replace function rowferry.stagger_sequences(
  p_peer text default null
)
returns table (
  sequence regclass,
  increment_before bigint,
  next_before bigint,
  increment bigint,
  next_value bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set lock_timeout = '5s'
as $$
declare
  v_sequence regclass;
  v_detail text;
  v_hint text;
begin
  for v_sequence in select s from rowferry._sequences_to_stagger(p_peer) s order by s::text loop
    begin
      return query select * from rowferry.stagger_sequence(v_sequence);
    exception
      when sqlstate 'RF017' or insufficient_privilege then
        get stacked diagnostics v_detail = pg_exception_detail, v_hint = pg_exception_hint;
        raise warning using errcode = sqlstate, message = format('left as it is: %s: %s', v_sequence, sqlerrm), detail = v_detail, hint = v_hint;
    end;
  end loop;
end
$$;
comment on function rowferry.stagger_sequences(text) is
  'stagger_sequence() for each sequence that feeds keys or other unique values of tables that are kept in sync both ways, with one peer or (null) with all. '
  'A sequence that cannot be staggered, or that the caller does not own, is left as it is, with a warning. Call it on both nodes, one right after the other.';
