create or replace function rowferry._wanting_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
as $function$
declare
  v_only constant text := rowferry._only_sql(p_entity);
  v_from constant text := rowferry._received_sql(p_entity, p_keys => '$2');
  v_key_join constant text := rowferry._key_join_sql(p_entity, p_received => true);
  v_row text;
  v_wanting text;
  v_body text;
begin
  -- The row as it will be: columns that do not travel stay as they are. They are needed where an index may use them.
  select string_agg(format(case when c.place is null then 't.%2$I' else 'u.c%1$s::%3$s as %2$I' end, c.place, a.attname, format_type(a.atttypid, a.atttypmod)),
    ', ' order by a.attnum)
  into v_row
  from pg_attribute a
  left join rowferry._entity_columns(p_entity) c on c.local = a.attname
  where a.attrelid = p_entity.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    and (c.place is not null or exists (
      select from pg_index x
      where x.indrelid = a.attrelid and (x.indisunique or x.indisexclusion) and (
        a.attnum = any (x.indkey) or x.indexprs is not null or x.indpred is not null or exists (
          select from pg_attribute g where g.attrelid = x.indrelid and g.attnum = any (x.indkey) and g.attgenerated <> ''))));
  select string_agg(format($f$select n.record_id, h.record_id, %L::pg_catalog.text, %L::pg_catalog.text
    from (
      select u.record_id, x.*
      from %s left join %s t on %s
      cross join lateral (select %s from (select %s) f%s) x
    ) n
    cross join lateral (select %s as record_id from %s s where %s) h
    where h.record_id operator(pg_catalog.<>) n.record_id$f$,
    i.aside, i.name, v_from, v_only, v_key_join, i.wanted, v_row, coalesce(' where ' || i.predicate, ''), rowferry._record_id_sql(p_entity, 's'), v_only,
    concat_ws(' and ', i.held, i.predicate)), E'\n    union all\n    ' order by i.index)
  into v_wanting
  from (
    select x.indexrelid as index, (select c.relname from pg_class c where c.oid = x.indexrelid) as name, s.local as aside,
      '(' || pg_get_expr(x.indpred, x.indrelid) || ')' as predicate, k.wanted, k.held
    from pg_index x
    left join rowferry._aside_columns(p_entity) s on s.index = x.indexrelid
    left join pg_constraint c on c.conindid = x.indexrelid and c.contype = 'x'
    cross join lateral (
      select string_agg(format('%s as e%s', coalesce('(' || pg_get_expr(d.adbin, d.adrelid) || ')', e.expression), g.ord), ', ' order by g.ord) as wanted,
        string_agg(format(case when to_jsonb(x) ->> 'indnullsnotdistinct' = 'true' then '(%s operator(%I.%s) n.e%s or %1$s is null and n.e%4$s is null)'
          else '%s operator(%I.%s) n.e%s' end,
          e.expression, n.nspname, o.oprname, g.ord), ' and ' order by g.ord) as held,
        count(o.oid) = count(*) as known
      from generate_series(1, x.indnkeyatts) g (ord)
      cross join lateral (
        select format('(%s%s)', pg_get_indexdef(x.indexrelid, g.ord, false), ' collate ' || nullif(x.indcollation[g.ord - 1], 0)::regcollation)) e (expression)
      left join pg_attribute a on a.attrelid = x.indrelid and a.attnum = x.indkey[g.ord - 1] and a.attgenerated <> ''
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      left join pg_opclass l on l.oid = x.indclass[g.ord - 1]
      left join pg_amop m on c.oid is null and m.amopfamily = l.opcfamily and m.amoplefttype = l.opcintype and m.amoprighttype = l.opcintype
        and m.amopstrategy = 3
      left join pg_operator o on o.oid = coalesce(c.conexclop[g.ord], m.amopopr)
      left join pg_namespace n on n.oid = o.oprnamespace
    ) k
    where x.indrelid = p_entity.relation and (x.indisunique or x.indisexclusion) and x.indisvalid and k.known
      and p_entity.inbound is null and p_entity.on_apply is null and p_entity.outbound is null
      -- Not the index of the key: a row with the same key is the same record.
      and not (x.indexprs is null and (
        select bool_and(a.attname = any (array(select l.local from rowferry._entity_columns(p_entity) l where l.key_position is not null)))
        from pg_attribute a
        where a.attrelid = x.indrelid and a.attnum = any (x.indkey[0:x.indnkeyatts - 1])))
  ) i;
  if v_wanting is not null then
    v_body := format(E'  execute %L\n  into o_keys, o_holders, o_aside, o_constraints using $1, $2;\n', format($f$
  select pg_catalog.array_agg(w.record_id), pg_catalog.array_agg(w.holder), pg_catalog.array_agg(w.aside), pg_catalog.array_agg(w.name)
  from (
    %s
  ) w (record_id, holder, aside, name)$f$, v_wanting));
  end if;
  return rowferry._function_sql(p_entity, 'wanting_',
    '(p_columns text[], p_keys text[], out o_keys text[], out o_holders text[], out o_aside text[], out o_constraints text[])', v_body,
    p_stable => false, p_settings => '{row_security = off, standard_conforming_strings = on}');
end
$function$;
comment on function rowferry._wanting_sql(rowferry.entities) is
  'DDL of the function that says which of some rows need a unique value that another row has now: which row that is (o_holders), by which index '
  '(o_constraints), and in which column that row may be null for a while (o_aside). Each unique index and exclusion constraint, deferrable or not, over '
  'columns or expressions, whole or partial, is asked with its own operators. It finds nothing if a function of the user''s decides what is written.';
