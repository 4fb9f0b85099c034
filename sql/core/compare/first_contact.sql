create or replace function rowferry.first_contact(
  p_entity text,
  p_match text default 'key',
  p_only_here text default null,
  p_only_there text default null,
  p_different text default null
)
returns table (
  run_id bigint,
  kind text,
  records bigint,
  choice text,
  state text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
#variable_conflict use_column
declare
  v_name text := (rowferry._find_entity(p_entity)).name;
  v_run rowferry.comparisons;
  v_column text := substring(p_different from '^newest by (.+)$');
begin
  if p_match <> 'key' then
    raise exception using errcode = 'RF051', message = 'rows are matched by the key of the entity',
      detail = format('p_match is %s.', p_match),
      hint = format('Attach the table on both nodes by that key, and leave out columns that are each node''s own: '
        'select rowferry.detach(%L); select rowferry.attach(.., p_key => array[..], p_columns => ..);', p_entity);
  end if;
  if coalesce(p_only_here, p_only_there, p_different) is null then
    v_run := rowferry._compare_start(p_entity, 'first_contact');
    return query select v_run.id, null::text, null::bigint, null::text,
      format('%1$s; once the worker has carried it: select * from rowferry.compare_report where run_id = %2$s; then choose: '
        '%3$s', v_run.state, v_run.id, rowferry._choosing_call(rowferry._find_entity(p_entity)));
    return;
  end if;
  if p_only_here not in ('here', 'there') or p_only_there not in ('here', 'there') or p_different not in ('here', 'there') and v_column is null
    or v_column is not null and not exists (
      select from rowferry.entities e cross join lateral rowferry._entity_columns(e) c join pg_type t on t.oid = c.type_oid
      where e.name = v_name and c.name = v_column and t.typnamespace = 'pg_catalog'::regnamespace) then
    raise exception using errcode = 'RF051', message = 'a choice is here or there, for p_different also newest by a column of the entity',
      detail = format('%s.', concat_ws(', ', p_only_here, p_only_there, p_different)),
      hint = rowferry._choosing_call(rowferry._find_entity(p_entity));
  end if;
  select c.* into v_run
  from rowferry.comparisons c
  where c.entity = v_name and c.kind = 'first_contact'
  order by c.id desc limit 1
  for update;
  if not found or v_run.state not in ('finished', 'resolved') then
    raise exception using errcode = 'RF050', message = 'there is no finished report to choose by',
      detail = format('%s: %s.', p_entity, coalesce(v_run.state || ' ' || v_run.error, v_run.state, 'none')),
      hint = format('select * from rowferry.first_contact(%L);  -- a running worker carries it; wait until rowferry.compare_runs says finished', p_entity);
  end if;
  perform rowferry._refuse_wrong_direction(rowferry._find_entity(p_entity), w.sends)
  from (values (p_only_here), (p_only_there), (p_different)) c (choice)
  join (values (true, 'there'), (false, 'here')) w (sends, other) on c.choice <> w.other;  -- the newest may be on either node
  perform rowferry._compare_choose(v_run.id, p_only_here, p_only_there, p_different);
  return query
  select v_run.id, k.kind, k.records, k.choice, case when k.choice is null then 'left alone' when k.records = 0 then 'nothing to do' else 'queued' end
  from (values ('only_here', v_run.only_here, p_only_here), ('only_there', v_run.only_there, p_only_there), ('different', v_run.different, p_different))
    k (kind, records, choice);
end
$$;
comment on function rowferry.first_contact(text, text, text, text, text) is
  'Brings two tables together that were both filled before. First a report, which changes nothing: select * from rowferry.first_contact(''accounts''); '
  'once it has finished, compare_report shows it. Then, by kind, whose rows are to stay: p_only_here and p_only_there ''here'' or ''there'', p_different '
  'also ''newest by updated_at''; null leaves that kind alone. Rows are matched by the key with which the entity was attached.';
