-- What attach() would register, or the reason why it cannot, as an error with a hint. Changes nothing. p_old: the entity as it is registered, which is to be changed in place; null: a new one.
create or replace function rowferry._plan_entity(
  p_table regclass,
  p_entity text,
  p_columns jsonb,
  p_key text[],
  p_peer text,
  p_outbound text,
  p_old rowferry.entities default null
)
returns rowferry.entities
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_table pg_class := (select c from pg_class c where c.oid = p_table);
  v_entity rowferry.entities;
  v_shape regclass;
  v_map jsonb;
  v_was jsonb;  -- of p_old: entity column to column, as the table calls it now
  v_names text;
  v_fix text;
  -- From PostgreSQL 16 on, to use a role's rights and to give an object to it are two rights.
  v_set constant text := case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end;
begin
  if v_table.oid is null then
    raise exception using errcode = 'RF010', message = 'there is no such table', hint = 'select rowferry.attach(''public.accounts'');';
  end if;
  if not pg_has_role(current_user, 'rowferry_owner', 'usage') or not pg_has_role(current_user, v_table.relowner, 'usage')
    or not pg_has_role(current_user, 'rowferry_owner', v_set) or not pg_has_role(current_user, v_table.relowner, v_set) then
    raise exception using errcode = '42501', message = 'attaching a table needs the rights of its owner and of rowferry_owner',
      detail = format('%s belongs to %I; the current role is %I.', p_table, pg_get_userbyid(v_table.relowner), current_user),
      hint = format('As a superuser: grant %I, rowferry_owner to %I%s;', pg_get_userbyid(v_table.relowner), current_user,
        case v_set when 'set' then ' with inherit true, set true' end);
  end if;
  if v_table.relkind not in ('r', 'p') or v_table.relpersistence <> 'p' or v_table.relnamespace::regnamespace::text in ('rowferry', 'pg_catalog', 'information_schema') then
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
  -- Of a partitioned table these are its partitions.
  select string_agg(case when i.inhrelid = p_table then format('it inherits from %s', i.inhparent::regclass) else format('%s inherits from it', i.inhrelid::regclass) end, ', ' order by i.inhrelid, i.inhseqno),
    string_agg(format('alter table %s no inherit %s;', i.inhrelid::regclass, i.inhparent::regclass), ' ' order by i.inhrelid, i.inhseqno)
  into v_names, v_fix
  from pg_inherits i
  where p_table in (i.inhrelid, i.inhparent) and v_table.relkind = 'r';
  if v_names is not null then
    raise exception using errcode = 'RF010', message = 'a table that inherits, or from which others inherit, cannot be kept in sync',
      detail = format('%s: %s. What is written through one table of such a tree reaches rows of the others without a trigger of theirs, and no key holds for all of them.', p_table, v_names),
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

  -- the peer
  v_entity.peer := coalesce(p_peer, p_old.peer, (select min(l.peer) from rowferry.links l having count(*) = 1));
  if v_entity.peer is null or not exists (select from rowferry.links l where l.peer = v_entity.peer) then
    raise exception using errcode = 'RF002', message = 'no such peer',
      detail = format('This node knows: %s.', coalesce((select string_agg(peer, ', ' order by peer) from rowferry.links), 'none')),
      hint = 'Name the node in alembic.ini and run alembic upgrade head, or give p_peer => a name.';
  end if;

  -- the name
  v_entity.relation := p_table;
  v_entity.relation_name := p_table::text;
  v_entity.relation_oid := p_table;
  v_entity.name := coalesce(p_entity, p_old.name, v_table.relname);
  if v_entity.name = '' or octet_length(v_entity.name) > 63 then
    raise exception using errcode = 'RF010', message = 'an entity''s name has 1 to 63 bytes',
      detail = format('%s has %s.', v_entity.name, octet_length(v_entity.name)), hint = 'Give it with p_entity => a name.';
  end if;
  if exists (select from rowferry.entities e where e.id is distinct from p_old.id and (e.relation = p_table or e.name = v_entity.name)) then
    raise exception using errcode = 'RF011', message = 'already attached',
      detail = (select format('Entity %s is table %s.', e.name, e.relation) from rowferry.entities e
        where e.relation = p_table or e.name = v_entity.name limit 1),
      hint = (select format('Give another name with p_entity =>, or detach it first: select rowferry.detach(%L);', e.name) from rowferry.entities e
        where e.relation = p_table or e.name = v_entity.name limit 1);
  elsif v_entity.peer <> p_old.peer then
    raise exception using errcode = 'RF011', message = 'already attached, for another peer', detail = format('Entity %s is kept in sync with %s.', p_old.name, p_old.peer),
      hint = format('begin; select rowferry.detach(%L); select rowferry.attach(%L, p_peer => %L); commit;', p_old.name, p_table, p_peer);
  end if;

  -- the columns
  v_entity.outbound := p_outbound;
  if p_outbound is not null then
    perform rowferry._check_outbound(v_entity);
  end if;
  v_shape := rowferry._travelling_relation(v_entity);
  v_was := (
    select jsonb_object_agg(c.name, coalesce(a.attname, c.local))
    from unnest(p_old.columns, p_old.local_columns, p_old.column_numbers) c (name, local, number)
    -- In a restored database the numbers are others.
    left join pg_attribute a on a.attrelid = p_table and a.attnum = c.number and not a.attisdropped and p_old.relation_oid = p_table);
  v_entity.columns_given := case when p_columns is null then coalesce(p_old.columns_given, false) else p_columns <> '"*"' end;
  if p_columns is null and p_old.columns_given then
    v_map := v_was;
  elsif p_columns is null or p_columns = '"*"' then
    select jsonb_object_agg(a.attname, a.attname) into v_map
    from pg_attribute a
    where a.attrelid = v_shape and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';
  elsif jsonb_typeof(p_columns) = 'array' then
    select jsonb_object_agg(coalesce(c, ''), c) into v_map from jsonb_array_elements_text(p_columns) c;
  elsif jsonb_typeof(p_columns) = 'object' then
    v_map := p_columns;
  end if;
  select string_agg(coalesce(m.value, 'null'), ', ' order by m.value) into v_names
  from jsonb_each_text(v_map) m
  where not exists (
    select from pg_attribute a
    where a.attrelid = v_shape and a.attname = m.value and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  );
  if v_names is not null or v_map is null or (select count(distinct value) <> count(*) from jsonb_each_text(v_map)) then
    raise exception using errcode = 'RF010', message = 'p_columns must name columns that the table, or its outbound view, has, and each of them once',
      detail = case when v_names is null then 'A column is named twice, or none is named.'
        else format('%s has no column of this name, or the column is generated: %s.', v_shape, v_names) end,
      hint = case when v_map = v_was and p_columns is null then format('To go on without them: select rowferry.attach(%L, p_columns => %L);', p_table, (
          select jsonb_object_agg(m.key, m.value)
          from jsonb_each_text(v_map) m
          join pg_attribute a on a.attrelid = v_shape and a.attname = m.value and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''))
        else E'Give an array of columns, or a map from each entity column to a column of the table; \\d shows the columns.' end;
  end if;
  select array_agg(m.key order by m.key collate "C"), array_agg(m.value order by m.key collate "C")
  into v_entity.columns, v_entity.local_columns
  from jsonb_each_text(v_map) m;
  if p_outbound is null then
    v_entity.column_numbers := array(
      select a.attnum
      from unnest(v_entity.local_columns) with ordinality c (local, ord)
      join pg_attribute a on a.attrelid = p_table and a.attname = c.local
      order by c.ord);
  end if;
  if exists (
    select from rowferry._entity_columns(v_entity) c
    where strpos(concat_ws(' ', p_table::text, p_outbound, v_entity.name, c.name, c.local, c.full_type), '$rowferry$') > 0
  ) or strpos(array_to_string(rowferry._captured_columns(v_entity), ' '), '$rowferry$') > 0 then
    raise exception using errcode = 'RF010', message = 'no name may hold $rowferry$, which quotes the generated functions',
      detail = format('%s, its columns or their types.', p_table), hint = 'Rename it, leave the column out with p_columns =>, or give p_entity => a name.';
  end if;
  select string_agg(format('%s %s', c.local, c.type), ', ') into v_names
  from rowferry._entity_columns(v_entity) c
  where regexp_replace(c.type, E'(\\[\\])+$', '') in ('oid', 'oidvector', 'xid', 'cid', 'tid', 'regproc', 'regprocedure', 'regoper', 'regoperator', 'regclass', 'regcollation', 'regtype',
    'regrole', 'regnamespace', 'regconfig', 'regdictionary', 'pg_snapshot', 'txid_snapshot', 'xid8');
  if v_names is not null then
    raise exception using errcode = 'RF010', message = 'a column holds what has a meaning in this database only',
      detail = format('%s: %s.', p_table, v_names), hint = 'Leave it out with p_columns =>; large objects cannot be kept in sync.';
  end if;

  -- the key
  if p_key is null and p_old.id is not null then
    p_key := array(select m.key from jsonb_each_text(v_map) m where m.value in (select v_was ->> k from unnest(p_old.key_columns) k));
  end if;
  select array_agg(c.name order by c.name collate "C") into v_entity.key_columns
  from unnest(v_entity.columns, v_entity.local_columns) c (name, local)
  where case when p_key is not null then c.name = any (p_key) or c.local = any (p_key) and not v_entity.columns @> array[c.local]
    else exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
      where i.indrelid = p_table and i.indisprimary and a.attname = c.local) end;
  -- What could be the key, shortest first.
  select string_agg(quote_literal(k.name), ', ' order by k.ord) into v_names
  from (
    select c.name, u.ord, i.indnkeyatts, i.indexrelid, first_value(i.indexrelid) over (order by i.indnkeyatts, i.indexrelid) as best
    from pg_index i
    cross join lateral unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality u (attnum, ord)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum
    join unnest(v_entity.columns, v_entity.local_columns) c (name, local) on c.local = a.attname
    where i.indrelid = p_table and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
      and not exists (select from pg_attribute n where n.attrelid = p_table and n.attnum = any (i.indkey[0:i.indnkeyatts - 1])
        and (not n.attnotnull or n.attname <> all (v_entity.local_columns)))
  ) k
  where k.indexrelid = k.best;
  v_fix := format('select rowferry.attach(%L, p_key => array[%s]);', p_table, v_names);
  if p_key is null and not exists (select from pg_index i where i.indrelid = p_table and i.indisprimary) then
    raise exception using errcode = 'RF010', message = 'a table without a primary key cannot be kept in sync',
      detail = format('%s has no primary key.', p_table),
      hint = case when v_names is null then format('Add one (alter table %s add primary key (..)), or a unique index over not null columns, which p_key => array[..] then names.', p_table)
        else format('By the columns of its unique index: %s Or add a primary key.', v_fix) end;
  end if;
  if v_entity.key_columns is null or cardinality(v_entity.key_columns) <> coalesce(cardinality(p_key),
      (select indnkeyatts from pg_index i where i.indrelid = p_table and i.indisprimary))
    or not exists (
      select from pg_index i
      where i.indrelid = p_table and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
        and (select array_agg(a.attname::text order by a.attname::text collate "C") from pg_attribute a
          where a.attrelid = p_table and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]) and a.attnotnull)
          = (select array_agg(c.local order by c.local collate "C") from rowferry._entity_columns(v_entity) c where c.key_position is not null)
        and i.indnkeyatts = cardinality(v_entity.key_columns)
    ) then
    raise exception using errcode = 'RF010', message = 'the key must be the columns of a unique index, all of them not null and among the columns kept in sync',
      detail = format('%s, key %s.', p_table, coalesce(array_to_string(coalesce(p_key, v_entity.key_columns), ', '), 'none')),
      hint = case when v_names is null then 'Name the key''s columns with p_key => array[..], as they are called in p_columns.' else format('By the columns of a unique index: %s', v_fix) end;
  end if;
  select string_agg(format('%s %s', c.local, c.type), ', ') into v_names
  from rowferry._entity_columns(v_entity) c
  join pg_attribute a on a.attrelid = p_table and a.attname = c.local
  left join pg_collation l on l.oid = a.attcollation
  where c.key_position is not null and (not coalesce(l.collisdeterministic, true)
    or c.type not in ('smallint', 'integer', 'bigint', 'numeric', 'uuid', 'text', 'character varying', 'bpchar', 'name', '"char"', 'boolean',
      'date', 'time without time zone', 'timestamp without time zone', 'timestamp with time zone', 'bytea', 'inet', 'cidr', 'macaddr', 'macaddr8')
      and not exists (select from pg_type t where t.oid = c.type_oid and t.typtype = 'e'));
  if v_names is not null then
    raise exception using errcode = 'RF010', message = 'a key column has a type in which one value can be spelled in several ways',
      detail = format('%s: %s.', p_table, v_names),
      hint = 'Two spellings of one key would be two records; use a key of another type, or one that is derived from it.';
  end if;
  v_entity.column_types := rowferry._column_types(v_entity);
  select array_agg(case
      when c.type in ('smallint', 'integer', 'bigint', 'numeric') then 'number'
      when c.type in ('text', 'character varying') then 'text'
      when exists (select from pg_type t where t.oid = c.type_oid and t.typtype = 'e') then 'text'
      else c.type end order by c.key_position)
  into v_entity.key_types
  from rowferry._entity_columns(v_entity) c
  where c.key_position is not null;
  -- The events that wait name their records by it.
  if (v_entity.key_types, array(select v_map ->> k from unnest(v_entity.key_columns) k)) is distinct from (p_old.key_types, array(select v_was ->> k from unnest(p_old.key_columns) k))
    and p_old.id is not null then
    raise exception using errcode = 'RF011', message = 'already attached, with another key', detail = format('Entity %s has the key %s of type %s; this would be %s of type %s.', p_old.name,
        array_to_string(p_old.key_columns, ', '), array_to_string(p_old.key_types, ', '), array_to_string(v_entity.key_columns, ', '), array_to_string(v_entity.key_types, ', ')),
      hint = format('begin; select rowferry.detach(%L); select rowferry.attach(%L, ..); commit;  -- on both nodes, once nothing of it waits', p_old.name, p_table);
  end if;
  -- Never the number of an entity that has left something behind.
  v_entity.version := 1 + coalesce(pg_sequence_last_value('rowferry.entity_ids'), 0);
  v_entity.id := coalesce(p_old.id, v_entity.version);
  return v_entity;
end
$$;
comment on function rowferry._plan_entity(regclass, text, jsonb, text[], text, text, rowferry.entities) is 'What attach() would register; raises the reason why it cannot.';
