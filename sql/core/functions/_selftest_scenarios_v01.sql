-- What selftest() plays: statements, one after the other, then a question and its answer where all is well. Each starts from empty tables.
create or replace function rowferry._selftest_scenarios()
returns table (
  name text,
  steps text[],
  question text,
  answer text
)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $function$
  select s.*
  from (values
    ('each row that a statement changes is an event, one that it leaves alike is none', array[
      $$insert into selftest_left.notes values (1, 'a'), (2, 'b'), (3, 'c')$$,
      $$update selftest_left.notes set body = case id when 1 then 'A' else body end$$,
      $$update selftest_left.notes set id = 4 where id = 3$$,
      $$delete from selftest_left.notes where id = 2$$],
      $$select string_agg(v.event_type || ' ' || v.record_id, ', ' order by v.id) from rowferry.sync_events v where v.entity = 'selftest_left_notes'$$,
      'insert 1, insert 2, insert 3, update 1, insert 4, delete 3, delete 2'),
    ('changes of both nodes arrive on the other one', array[
      $$insert into selftest_left.notes values (1, 'from left'), (2, 'goes')$$,
      $$insert into selftest_right.notes values (3, 'from right')$$,
      $$select rowferry._selftest_sync()$$,
      $$update selftest_right.notes set body = 'from both' where id = 1$$,
      $$delete from selftest_right.notes where id = 2$$,
      $$select rowferry._selftest_sync()$$],
      $$select (select string_agg(n.id || ' ' || n.body, ', ' order by n.id) from selftest_left.notes n) || ' | '
        || (select string_agg(n.id || ' ' || n.body, ', ' order by n.id) from selftest_right.notes n)$$,
      '1 from both, 3 from right | 1 from both, 3 from right'),
    ('what was applied is no change of this node', array[
      $$insert into selftest_left.notes values (1, 'a'), (2, 'b')$$,
      $$select rowferry._selftest_call('right', '1-once', l2.o_envelope)
        from rowferry._selftest_call('left', '1-once', null) l1
        cross join lateral rowferry._selftest_call('right', '1-once', l1.o_envelope) r1
        cross join lateral rowferry._selftest_call('left', '1-once', r1.o_envelope) l2$$],
      $$select count(*) || ' of ' || (select count(*) from selftest_right.notes) from rowferry.sync_events v where v.entity = 'selftest_right_notes'$$,
      '0 of 2'),
    ('what the other node has taken leaves the queue', array[
      $$insert into selftest_left.notes values (1, 'a'), (2, 'b')$$,
      $$select rowferry._selftest_sync()$$],
      $$select count(*)::text from rowferry.sync_events v where v.entity like 'selftest\_%'$$,
      '0'),
    ('of two changes of one record the later one stays on both nodes, and both keep the other', array[
      $$insert into selftest_left.notes values (1, 'first')$$,
      $$select rowferry._selftest_sync()$$,
      $$update selftest_right.notes set body = 'earlier' where id = 1$$,
      $$update selftest_left.notes set body = 'later' where id = 1$$,
      $$select rowferry._selftest_sync()$$],
      $$select (select n.body from selftest_left.notes n) || ' ' || (select n.body from selftest_right.notes n) || ' '
        || (select string_agg((c.loser_row ->> 'body') || ' lost to ' || c.winner, ', ') from rowferry.conflicts c where c.entity like 'selftest\_%')$$,
      'later later earlier lost to selftest-left, earlier lost to selftest-left'),
    ('a row that the other node refuses waits there with its error, and others pass', array[
      $$alter table selftest_right.notes add constraint no_bad check (body <> 'bad')$$,
      $$insert into selftest_left.notes values (1, 'good'), (2, 'bad'), (3, 'good')$$,
      $$select rowferry._selftest_sync()$$],
      $$select (select string_agg(n.id::text, ' ' order by n.id) from selftest_right.notes n) || ', '
        || (select string_agg(v.record_id || ' ' || v.sqlstate, ' ') from rowferry.sync_events v where v.entity like 'selftest\_%')$$,
      '1 3, 2 23514'),
    ('once its cause is mended a refused row arrives', array[
      $$alter table selftest_right.notes add constraint no_bad check (body <> 'bad')$$,
      $$insert into selftest_left.notes values (1, 'bad')$$,
      $$select rowferry._selftest_sync()$$,
      $$alter table selftest_right.notes drop constraint no_bad$$,
      $$select rowferry.retry(v.id) from rowferry.sync_events v where v.entity like 'selftest\_%'$$,
      $$select rowferry._selftest_sync()$$],
      $$select (select n.body from selftest_right.notes n) || ' ' || count(*) from rowferry.sync_events v where v.entity like 'selftest\_%'$$,
      'bad 0'),
    ('parents arrive before their children, and go after them', array[
      $$insert into selftest_left.notes values (1, 'a')$$,
      $$insert into selftest_left.replies values (1, 1, 'x'), (2, 1, 'y')$$,
      $$update selftest_left.notes set body = 'b'$$,
      $$select rowferry._selftest_sync()$$,
      $$delete from selftest_right.replies where id = 1$$,
      $$select rowferry._selftest_sync()$$],
      $$select string_agg(n.body || r.id, ' ') from selftest_left.notes n join selftest_left.replies r on r.note_id = n.id
        having exists (select from selftest_right.replies o join selftest_right.notes p on p.id = o.note_id where p.body = 'b' and o.id = 2)$$,
      'b2'),
    ('keys of several columns and of any letters find their record, also when they change', array[
      $$insert into selftest_left.pairs values (1, 'comma, "quote" {brace} \ NULL', 'a'), (1, '', 'b'), (2, 'ÄßЖ 字', 'c')$$,
      $$select rowferry._selftest_sync()$$,
      $$update selftest_right.pairs set body = body || '!'$$,
      $$update selftest_right.pairs set b = 'null' where b = ''$$,
      $$select rowferry._selftest_sync()$$],
      $$select string_agg(p.a || p.b || p.body, ';' order by p.body) from selftest_left.pairs p$$,
      $$1comma, "quote" {brace} \ NULLa!;1nullb!;2ÄßЖ 字c!$$),
    ('unique values that rows exchange arrive', array[
      $$insert into selftest_left.notes values (1, 'a', 1), (2, 'b', 2)$$,
      $$select rowferry._selftest_sync()$$,
      $$update selftest_left.notes set rank = 3 - rank$$,
      $$select rowferry._selftest_sync()$$],
      $$select string_agg(n.id || '=' || n.rank, ' ' order by n.id) from selftest_right.notes n$$,
      '1=2 2=1'),
    ('values of all kinds arrive as they were', array[
      $$insert into selftest_left.kinds values
        ('00000000-0000-0000-0000-000000000001', 1.2300, 0.1::float8 + 0.2::float8, '\x00ff', '2024-02-29 23:59:59.999999+05:30', '0044-03-15 BC', '1 year -2 days 03:04:05.6',
          '{"a": [1, null, "x\"y"]}', array['', null, 'a,b', '{}'], '[1,5)', E'tab\t newline\n backslash\\ quote''', true),
        ('00000000-0000-0000-0000-000000000002', 'NaN', '-Infinity', '', 'infinity', '-infinity', '0', 'null', '{}', 'empty', '', false),
        ('00000000-0000-0000-0000-000000000003', null, null, null, null, null, null, null, null, null, null, null)$$,
      $$select rowferry._selftest_sync()$$],
      $$select count(*) || ' of 3 are alike' from selftest_left.kinds sent join selftest_right.kinds stored on sent::text = stored::text$$,
      '3 of 3 are alike'),
    ('a batch that comes twice is applied once', array[
      $$insert into selftest_left.notes values (1, 'a')$$,
      $$create table selftest_right.kept as
        select l2.o_envelope
        from rowferry._selftest_call('left', '1-twice', null) l1
        cross join lateral rowferry._selftest_call('right', '1-twice', l1.o_envelope) r1
        cross join lateral rowferry._selftest_call('left', '1-twice', r1.o_envelope) l2$$,
      $$select rowferry._selftest_call('right', '1-twice', o_envelope) from selftest_right.kept$$,
      $$update selftest_right.notes set body = body || ', changed since'$$,
      $$select rowferry._selftest_call('right', '1-twice', o_envelope) from selftest_right.kept$$],
      $$select n.body from selftest_right.notes n$$,
      'a, changed since'),
    ('a batch that is lost is sent again', array[
      $$insert into selftest_left.notes values (1, 'a')$$,
      $$select l2.o_envelope
        from rowferry._selftest_call('left', '1-lost', null) l1
        cross join lateral rowferry._selftest_call('right', '1-lost', l1.o_envelope) r1
        cross join lateral rowferry._selftest_call('left', '1-lost', r1.o_envelope) l2$$,
      $$select rowferry._selftest_sync()$$],
      $$select n.body from selftest_right.notes n$$,
      'a'),
    ('a table that is kept in sync cannot be truncated', array[
      $step$do $do$
      begin
        truncate selftest_left.pairs;
      exception
        when sqlstate 'RF005' then
          insert into selftest_left.notes values (1, 'refused');
      end
      $do$$step$],
      $$select n.body from selftest_left.notes n$$,
      'refused')
  ) s (name, steps, question, answer)
$function$;
comment on function rowferry._selftest_scenarios() is 'For selftest(): what it plays.';
revoke all on function rowferry._selftest_scenarios() from public;
