create or replace function rowferry._plan_key(
  p_entity rowferry.entities,
  p_old rowferry.entities,
  p_was jsonb,
  p_key text[]
)
returns rowferry.entities
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_types text[];
  v_locals text[];
  v_names text;
  v_fix text;
begin
  if p_key is null and p_old.id is not null then
    p_key := array(select c.name from unnest(p_entity.columns, p_entity.local_columns) c (name, local)
      where c.local in (select p_was ->> k from unnest(p_old.key_columns) k));
  end if;
  select array_agg(c.name order by c.name collate "C") into p_entity.key_columns
  from unnest(p_entity.columns, p_entity.local_columns) c (name, local)
  where case when p_key is not null then c.name = any (p_key) or c.local = any (p_key) and not p_entity.columns @> array[c.local]
    else exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
      where i.indrelid = p_entity.relation and i.indisprimary and a.attname = c.local) end;
  -- The unique index that could be the key; of several the one with the fewest columns.
  select string_agg(quote_literal(k.name), ', ' order by k.ord) into v_names
  from (
    select c.name, u.ord, i.indnkeyatts, i.indexrelid, first_value(i.indexrelid) over (order by i.indnkeyatts, i.indexrelid) as best
    from pg_index i
    cross join lateral unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality u (attnum, ord)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum
    join unnest(p_entity.columns, p_entity.local_columns) c (name, local) on c.local = a.attname
    where i.indrelid = p_entity.relation and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
      and not exists (select from pg_attribute n where n.attrelid = p_entity.relation and n.attnum = any (i.indkey[0:i.indnkeyatts - 1])
        and (not n.attnotnull or n.attname <> all (p_entity.local_columns)))
  ) k
  where k.indexrelid = k.best;
  v_fix := format('select rowferry.attach(%L%s, p_key => array[%s]);', p_entity.relation, rowferry._which_entity(p_entity.peer), v_names);
  if p_key is null and not exists (select from pg_index i where i.indrelid = p_entity.relation and i.indisprimary) then
    raise exception using errcode = 'RF010', message = 'a table without a primary key cannot be kept in sync',
      detail = format('%s has no primary key.', p_entity.relation),
      hint = case when v_names is null
          then format('Add one (alter table %s add primary key (..)), or a unique index over not null columns, which p_key => array[..] then names.',
            p_entity.relation)
        else format('By the columns of its unique index: %s Or add a primary key.', v_fix) end;
  end if;
  if p_entity.key_columns is null or cardinality(p_entity.key_columns) <> coalesce(cardinality(p_key),
      (select indnkeyatts from pg_index i where i.indrelid = p_entity.relation and i.indisprimary))
    or not exists (
      select from pg_index i
      where i.indrelid = p_entity.relation and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
        and (select array_agg(a.attname::text order by a.attname::text collate "C") from pg_attribute a
          where a.attrelid = p_entity.relation and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]) and a.attnotnull)
          = (select array_agg(c.local order by c.local collate "C") from rowferry._entity_columns(p_entity) c where c.key_position is not null)
        and i.indnkeyatts = cardinality(p_entity.key_columns)
    ) then
    raise exception using errcode = 'RF010', message = 'the key must be the columns of a unique index, all of them not null and among the columns kept in sync',
      detail = format('%s, key %s.', p_entity.relation, coalesce(array_to_string(coalesce(p_key, p_entity.key_columns), ', '), 'none')),
      hint = case when v_names is null then 'Name the key''s columns with p_key => array[..], as they are called in p_columns.'
        else format('By the columns of a unique index: %s', v_fix) end;
  end if;
  select string_agg(format('%s %s', c.local, c.type), ', ') into v_names
  from rowferry._entity_columns(p_entity) c
  join pg_attribute a on a.attrelid = p_entity.relation and a.attname = c.local
  left join pg_collation l on l.oid = a.attcollation
  where c.key_position is not null and (not coalesce(l.collisdeterministic, true)
    or c.type not in ('smallint', 'integer', 'bigint', 'numeric', 'uuid', 'text', 'character varying', 'bpchar', 'name', '"char"', 'boolean',
      'date', 'time without time zone', 'timestamp without time zone', 'timestamp with time zone', 'bytea', 'inet', 'cidr', 'macaddr', 'macaddr8')
      and not exists (select from pg_type t where t.oid = c.type_oid and t.typtype = 'e'));
  if v_names is not null then
    raise exception using errcode = 'RF010', message = 'a key column has a type in which one value can be spelled in several ways',
      detail = format('%s: %s.', p_entity.relation, v_names),
      hint = 'Two spellings of one key would be two records; use a key of another type, or one that is derived from it.';
  end if;
  select array_agg(case
      when c.type in ('smallint', 'integer', 'bigint', 'numeric') then 'number'
      when c.type in ('text', 'character varying') or exists (select from pg_type t where t.oid = c.type_oid and t.typtype = 'e') then 'text'
      else c.type end order by c.key_position), array_agg(c.local order by c.key_position)
  into v_types, v_locals
  from rowferry._entity_columns(p_entity) c
  where c.key_position is not null;
  p_entity.key_types := v_types;
  -- The events that wait name their records by the key.
  if p_old.id is not null and (v_types, v_locals) is distinct from (p_old.key_types, array(select p_was ->> k from unnest(p_old.key_columns) k)) then
    raise exception using errcode = 'RF011', message = 'already attached, with another key',
      detail = format('Entity %s has the key %s of type %s; this would be %s of type %s.', p_old.name,
        array_to_string(p_old.key_columns, ', '), array_to_string(p_old.key_types, ', '), array_to_string(p_entity.key_columns, ', '),
        array_to_string(p_entity.key_types, ', ')),
      hint = format('begin; select rowferry.detach(%L); select rowferry.attach(%L, ..); commit;  -- on both nodes, once nothing of it waits', p_old.name,
        p_entity.relation);
  end if;
  return p_entity;
end
$$;
comment on function rowferry._plan_key(rowferry.entities, rowferry.entities, jsonb, text[]) is
  'Returns the entity with its key, as attach() would register it: p_key, or else the key of p_old, or else the primary key. p_was has the columns of p_old, '
  'by the names that they have in the table now. If that is impossible, it raises an error with the reason.';
