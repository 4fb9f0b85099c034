create or replace function rowferry._check_sequences(
  p_peer text,
  p_set_back boolean default false
)
returns setof rowferry._finding
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  with columns as (
    select e.relation::text as relation, c.local, m.value as mine, (t.value ->> 'used')::numeric as used_there, t.value -> 'sequence' as theirs,
      (t.value ->> 'theirs_taken')::numeric as taken_there,
      format('; %s said so at %s', p_peer, to_char(f.heard_at, 'YYYY-MM-DD HH24:MI:SS')) as as_of,
      greatest((m.value ->> 'used')::numeric, (t.value ->> 'used')::numeric) as used,
      -- Rows of this entity have come since the peer said where its sequence stands, so it has gone on. The peer's own check() knows.
      exists (select from rowferry.batches b where b.peer = p_peer and b.direction = 'applied' and b.at > f.heard_at) and exists (
        select from rowferry.traffic r
        where r.peer = p_peer and r.entity = e.name and r.direction = 'applied' and r.records > r.deletes and r.hour > f.heard_at - interval '1 hour') as outdated
    from rowferry.entities e
    cross join lateral (select rowferry._sequences_of(e)) s (value)
    cross join lateral unnest(e.columns, e.local_columns) c (name, local)
    cross join lateral (select s.value -> c.local) m (value)
    left join rowferry.peer_facts f on f.peer = e.peer
    cross join lateral (select f.facts #> array['entities', e.name, 'columns', c.name]) t (value)
    where e.peer = p_peer and m.value is not null
  ), sequences as (
    select c.relation, c.local, c.as_of, c.taken_there, c.used_there, c.outdated, q.*, (c.mine ->> 'taken')::numeric as taken,
      (c.mine ->> 'theirs_taken')::numeric as theirs_taken,
      -- Neither line moves a sequence back, so it may be typed late or twice. The second one lets it go on with the next value that no row has on either node.
      case when mod(q.increment, q.block) = 0 then format('select * from rowferry.stagger_sequence(%L);', q.name)
        else format('select setval(%1$L, %2$s, false) from %1$s where last_value < %2$s;', q.name, n.free) end as fix
    from columns c
    cross join lateral (values (true, c.mine), (false, c.theirs)) v (here, value)
    cross join lateral (
      select v.here, s.*, coalesce(v.value ->> 'block', (
        -- By name, because to_regclass() needs usage on the sequence's schema.
        select g.block::text from rowferry.staggered_sequences g where v.here and g.sequence::text = s.name))::numeric as block
      from jsonb_to_record(v.value) s (name text, next numeric, increment numeric)) q
    cross join lateral (select q.next + q.increment * ceil((c.used + 1 - q.next) / q.increment)) n (free)
    where q.increment > 0
  )
  select 'error', s.name,
    format('it goes on with %s, and rows on %s have values that it draws again (%s, ..): a row made here would overwrite one of them', s.next, p_peer,
      s.taken_there) || s.as_of, s.fix
  from sequences s
  where s.here and s.taken_there >= s.next and (s.taken <= s.taken_there) is not true
  union all
  select 'warning', s.name,
    format('it goes on with %s, and rows of %s have values that it draws again (%s, ..): inserts will fail', s.next, s.relation, s.taken), s.fix
  from sequences s
  where s.here and s.taken is not null and (s.taken_there >= s.next and s.taken > s.taken_there) is not true
  union all
  select 'error', format('%s on %s', s.name, p_peer),
    format('it goes on with %s, and rows here have values that it draws again (%s, ..): a row made there would overwrite one of them', s.next, s.theirs_taken)
      || s.as_of || ', and tells anew with its next change', rowferry._on_node(s.fix, p_peer)
  from sequences s
  where not s.here and s.theirs_taken is not null and not s.outdated
  union all
  select 'warning', s.name,
    format('it goes on with %s, and %s has values up to %s in this column: if it was set back with this node, it may draw some of them again', s.next, p_peer,
      s.used_there) || s.as_of, s.fix
  from sequences s
  where p_set_back and s.here and s.next <= s.used_there and s.taken is null and (s.taken_there >= s.next) is not true;
exception
  when lock_not_available then
    return;  -- _check_peer() says that a table is locked
end
$$;
comment on function rowferry._check_sequences(text, boolean) is
  'For check() and resync(): sequences that will draw values which rows here or on the peer have already, as after a restore, or after rows were inserted '
  'with values of their own. What it says of the peer is what the peer last told; each line says when. If rows have come since, the peer''s '
  'sequence has gone on, and only the peer can say where it stands. With p_set_back it also names sequences that may have '
  'been further than they are now, because the peer has higher values.';
