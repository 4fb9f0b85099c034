create or replace function rowferry._compared(
  p_entity rowferry.entities,
  p_keys text[],
  p_after text,
  p_limit integer,
  p_bytes bigint,
  p_hash boolean,
  out o_keys text[],
  out o_hashes bigint[],
  out o_left_out text[],
  out o_large text[],
  out o_cut text[],
  out o_on_purpose text[],
  out o_walked integer,
  out o_last text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  v_read record;
begin
  if p_keys is null then
    execute format('select rowferry.%I($1, $2)', rowferry._generated_name('keys_', p_entity.name)) into p_keys using p_after, p_limit;
    perform rowferry._left_nothing();
    o_walked := coalesce(cardinality(p_keys), 0);
    o_last := p_keys[o_walked];
  end if;
  if rowferry._any_skip(p_entity.id) then
    o_on_purpose := array(
      select distinct s.record_id from rowferry.skips s
      where s.entity_id = p_entity.id and rowferry._index_key(s.record_id) = any (rowferry._index_keys(p_keys)) and s.ended_at is null and s.kept);
  end if;
  o_left_out := array(
    select distinct e.record_id from rowferry.events e
    where rowferry._index_key(e.record_id) = any (rowferry._index_keys(p_keys)) and e.entity_id = p_entity.id);
  if p_hash or o_walked is not null then
    p_keys := array(select k from unnest(p_keys) k where k not in (select unnest(o_left_out)));
  end if;
  if not p_hash and o_walked is not null then
    o_keys := p_keys;
  elsif p_keys <> '{}' then
    execute format('select * from rowferry.%I($1, $2, $3)', rowferry._generated_name('hash_', p_entity.name)) into v_read
    using p_keys,
      (select case when c.relkind = 'p' or pg_relation_size(nullif(c.reltoastrelid, 0)) > 0 then p_bytes end from pg_class c where c.oid = p_entity.relation),
      p_hash;
    perform rowferry._left_nothing();
    o_keys := v_read.o_keys;
    o_hashes := v_read.o_hashes;
    o_cut := v_read.o_cut;
    o_large := v_read.o_large;
  end if;
  if not p_hash and o_walked is null then
    o_left_out := array(select k from unnest(o_left_out) k where k not in (select unnest(o_keys)));
  end if;
  o_keys := coalesce(o_keys, '{}');
  o_hashes := coalesce(o_hashes, '{}');
  o_cut := coalesce(o_cut, '{}');
  o_large := coalesce(o_large, '{}');
end
$$;
comment on function rowferry._compared(rowferry.entities, text[], text, integer, bigint, boolean) is
  'Some records of an entity as a comparison sees them: those of p_keys, or the next p_limit after p_after. o_keys has the rows that exist here, with their '
  'hashes (p_hash). o_left_out has records with an event in the queue, whatever their row is. o_large has rows that are too large to be hashed, o_cut rows '
  'beyond p_bytes, and o_on_purpose records that a skip keeps different on this node. o_walked and o_last are the number of keys that were walked, and the '
  'last of them; null means that there are no more. With keys and without p_hash, o_keys has all rows that exist here, and o_left_out the records that have '
  'an event and no row. The function is STABLE, so that it sees rows and queue in the caller''s snapshot.';
