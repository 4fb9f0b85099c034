-- Two nodes in this database, each with a schema of its own and the other as its peer, for selftest(), which rolls all of it back. Attaches by what attach() would run, and not by
-- attach(), which would keep others from holding an entity meanwhile.
create or replace function rowferry._selftest_prepare()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_side text;
  v_table record;
  v_statement text;
begin
  insert into rowferry.links (peer, first_id)
  select 'selftest-' || s, 1 + coalesce(pg_sequence_last_value(pg_get_serial_sequence('rowferry.events', 'id')::regclass), 0)
  from unnest(array['left', 'right']) s;
  foreach v_side in array array['left', 'right'] loop
    update rowferry.node n set name = 'selftest-' || v_side;
    execute format('create schema selftest_%s', v_side);
    for v_table in
      select *
      from (values
        (1, 'notes', 'id integer primary key, body text, rank integer unique deferrable'),
        (2, 'replies', format('id integer primary key, note_id integer not null references selftest_%s.notes, body text', v_side)),
        (3, 'pairs', 'a integer, b text, body text, primary key (a, b)'),
        (4, 'kinds', 'id uuid primary key, n numeric, f float8, b bytea, at timestamptz, d date, i interval, j jsonb, words text[], r int4range, t text, yes boolean')
      ) t (ord, name, columns)
      order by t.ord
    loop
      execute format('create table selftest_%s.%s (%s)', v_side, v_table.name, v_table.columns);
      for v_statement in
        select rowferry.attach(format('selftest_%s.%s', v_side, v_table.name)::regclass, format('selftest_%s_%s', v_side, v_table.name),
          p_peer => case v_side when 'left' then 'selftest-right' else 'selftest-left' end, p_dry_run => true)
      loop
        execute v_statement;
      end loop;
    end loop;
  end loop;
end
$$;
comment on function rowferry._selftest_prepare() is 'For selftest(): two nodes in this database, each with a schema of its own.';
revoke all on function rowferry._selftest_prepare() from public;
