create or replace function rowferry._check_differing(
  p_peer text
)
returns setof rowferry._finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select 'info', e.relation::text,
    format(case k.records when 1 then '%s record is different from %s on purpose: its change was given up here'
      else '%s records are different from %s on purpose: their changes were given up here' end, k.records, p_peer),
    format('select record_id, requested_by, reason, outcome from rowferry.skips where entity = %L and kept; '
      || 'a record is equal again once it changes or select * from rowferry.replay(%1$L, ''key''); has sent it.', e.name)
  from rowferry.entities e
  cross join lateral (select count(*) from rowferry.skips s where s.entity_id = e.id and s.kept and s.ended_at is null) k (records)
  where e.peer = p_peer and k.records > 0
  union all
  select 'info', e.relation::text,
    format('since resync() at %s either node may have rows that the other one has never heard of: each row that overwrites another one is noted as a conflict',
      to_char(e.unsettled_since, 'YYYY-MM-DD HH24:MI:SS')),
    format('select * from rowferry.backfill(%L);  -- on the node that is whole; or here: '
      || 'select * from rowferry.compare(%1$L); which ends this too if it finds no difference', e.name)
  from rowferry.entities e
  where e.peer = p_peer and e.unsettled_since is not null
$$;
comment on function rowferry._check_differing(text) is 'For check(): rows that differ on purpose, and entities whose rows may differ since resync().';
