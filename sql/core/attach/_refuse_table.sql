create or replace function rowferry._refuse_table(
  p_table regclass
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_table constant pg_class := (select c from pg_class c where c.oid = p_table);
  v_names text;
  v_fix text;
begin
  if v_table.oid is null then
    raise exception using errcode = 'RF010', message = 'there is no such table', hint = 'select rowferry.attach(''public.accounts'');';
  end if;
  perform rowferry._refuse_stranger(p_table);
  if v_table.relkind not in ('r', 'p') or v_table.relpersistence <> 'p' or v_table.relnamespace::regnamespace::text in ('rowferry', 'pg_catalog',
    'information_schema') then
    raise exception using errcode = 'RF010', message = 'only a permanent table can be kept in sync',
      detail = format('%s is %s.', p_table, case
        when v_table.relkind in ('r', 'p') and v_table.relpersistence = 'u' then 'an unlogged table'
        when v_table.relkind in ('r', 'p') and v_table.relpersistence = 't' then 'a temporary table'
        when v_table.relkind in ('r', 'p') then 'a table of the system'
        when v_table.relkind in ('v', 'm') then 'a view' when v_table.relkind = 'f' then 'a foreign table'
        else 'no table' end),
      hint = case when v_table.relkind in ('r', 'p') and v_table.relpersistence = 'u'
        then format('Its rows do not survive a crash; first: alter table %s set logged;', p_table)
        else 'Attach the table that holds the rows.' end;
  end if;
  if v_table.relispartition then
    raise exception using errcode = 'RF010', message = 'a partition cannot be attached by itself',
      detail = format('%s is a partition of %s.', p_table, pg_partition_root(p_table)),
      hint = format('Attach the partitioned table, and its partitions come with it: select rowferry.attach(%L);', pg_partition_root(p_table)::text);
  end if;
  -- What inherits from a partitioned table are its partitions, which may.
  select string_agg(case when i.inhrelid = p_table then format('it inherits from %s', i.inhparent::regclass)
    else format('%s inherits from it', i.inhrelid::regclass) end, ', ' order by i.inhrelid, i.inhseqno),
    string_agg(format('alter table %s no inherit %s;', i.inhrelid::regclass, i.inhparent::regclass), ' ' order by i.inhrelid, i.inhseqno)
  into v_names, v_fix
  from pg_inherits i
  where p_table in (i.inhrelid, i.inhparent) and v_table.relkind = 'r';
  if v_names is not null then
    raise exception using errcode = 'RF010', message = 'a table that inherits, or from which others inherit, cannot be kept in sync',
      detail = format('%s: %s. What is written through one table of such a tree reaches rows of the others without a trigger of theirs, '
        'and no key holds for all of them.', p_table, v_names),
      hint = format('Take it out of the tree: %s Or make the tree a partitioned table, which can be attached.', v_fix);
  end if;
  select string_agg(t.relid::text, ', ') into v_names
  from pg_partition_tree(p_table) t
  join pg_class c on c.oid = t.relid
  where c.relkind not in ('r', 'p') or c.relpersistence <> 'p';
  if v_names is not null then
    raise exception using errcode = 'RF010', message = 'only a permanent table can be kept in sync',
      detail = format('Partitions of %s are foreign, temporary or unlogged: %s.', p_table, v_names),
      hint = 'Detach these partitions, or make them permanent: alter table .. set logged;';
  end if;
  select string_agg(distinct r.ev_class::regclass::text, ', ') into v_names
  from pg_rewrite r
  where r.ev_class in (select p_table::oid union all select t.relid from pg_partition_tree(p_table) t);
  if v_names is not null then
    raise exception using errcode = 'RF010', message = 'a table with rules cannot be kept in sync',
      detail = format('%s has rules.', v_names), hint = 'Rules rewrite what would be captured; use triggers instead.';
  end if;
  if v_table.relforcerowsecurity and not (select rolbypassrls from pg_roles where oid = v_table.relowner) then
    raise exception using errcode = 'RF010', message = 'row-level security would hide rows from the sync',
      detail = format('%s forces row-level security on its owner too.', p_table),
      hint = format('alter table %s no force row level security;', p_table);
  end if;
  if v_table.relkind = 'r' and exists (select from pg_subscription_rel s where s.srrelid = p_table) then
    raise exception using errcode = 'RF010', message = 'a table that a subscription writes cannot be kept in sync',
      detail = format('%s is part of a logical replication; its worker fires no statement triggers.', p_table),
      hint = 'Attach the table where its rows are made, or take it out of the publication and refresh the subscription.';
  end if;
  if not has_schema_privilege(v_table.relowner, v_table.relnamespace, 'usage') then
    raise exception using errcode = 'RF010', message = 'the owner of the table may not use the schema it is in',
      detail = format('%s belongs to %I; its rows are written with this role''s rights.', p_table, pg_get_userbyid(v_table.relowner)),
      hint = format('grant usage on schema %s to %I;', v_table.relnamespace::regnamespace, pg_get_userbyid(v_table.relowner));
  end if;
end
$$;
comment on function rowferry._refuse_table(regclass) is 'Raises the reason why a table cannot be kept in sync, whatever the options.';
