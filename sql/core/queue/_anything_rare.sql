create or replace function rowferry._anything_rare(
  p_rare rowferry._rare
)
returns boolean
language sql
immutable
as $$
  select (p_rare).held or (p_rare).entities or (p_rare).missing or (p_rare).moves or (p_rare).skips or (p_rare).backfills or (p_rare).comparisons
$$;
comment on function rowferry._anything_rare(rowferry._rare) is 'Whether there is any of the rare things. PL/pgSQL inlines it.';
