create or replace function rowferry._lock_tables(
  p_tables regclass[]
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  c_patience constant interval := '5 s';
  c_turn constant interval := 0.7 * current_setting('deadlock_timeout')::interval;
  v_began constant timestamptz := clock_timestamp();
  v_turn_began timestamptz;
  v_table regclass;
begin
  loop
    v_turn_began := clock_timestamp();
    begin
      foreach v_table in array p_tables loop
        perform set_config('lock_timeout', greatest(1, extract(epoch from v_turn_began + c_turn - clock_timestamp()) * 1000)::integer::text, true);
        perform rowferry._lock_table(v_table, true);
      end loop;
      return;
    exception
      -- This lets go of all of them.
      when lock_not_available then
        if clock_timestamp() > v_began + c_patience then
          raise;
        end if;
    end;
  end loop;
end
$$;
comment on function rowferry._lock_tables(regclass[]) is
  'Locks tables so that nobody writes or reads them. A user who has one of them and waits for another one would find a deadlock, and may be the one to end for it. '
  'So all are locked in less time than PostgreSQL takes to look for one, or none is; it is tried again for 5 s. The caller sets lock_timeout afterwards.';
