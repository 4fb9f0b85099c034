create or replace function rowferry.set_breaker(
  p_entity text,
  p_share real default 0.5,
  p_rows integer default 100
)
returns table (
  entity text,
  share real,
  rows integer,
  state text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_entity rowferry.entities := rowferry._find_entity(p_entity);
begin
  if p_share not between 0 and 1 or p_rows is null or p_rows < 0 then
    raise exception using errcode = 'RF013', message = 'no such breaker', detail = format('Share %s, rows %s.', p_share, p_rows),
      hint = 'Give a share from 0 (every delete waits for approve()) to 1, or null (none does), and a number of rows: '
        || 'select * from rowferry.set_breaker(''accounts'', 0.2, 1000);';
  end if;
  return query
  update rowferry.entities e set breaker_share = p_share, breaker_rows = p_rows
  where e.id = v_entity.id
  returning e.name, e.breaker_share, e.breaker_rows,
    case when p_share is null then 'off: no delete waits for approve()'
      else format('more deletes than %s of its rows wait for approve(), if it has %s rows or more', p_share, p_rows) end;
  if v_entity.held_sqlstate = 'RF026' and p_share is null then
    perform rowferry.approve(p_entity);
  end if;
end
$$;
comment on function rowferry.set_breaker(text, real, integer) is
  'Sets how many deletes of an entity go to the peer without approve(): up to this share of its rows there (null: any number), and any number while there are '
  'fewer rows than p_rows.';
