-- Notes what audit() is to name until a person has looked at it; the same thing once more counts up.
create or replace function rowferry._note_problem(
  p_peer text,
  p_what text,
  p_detail text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into rowferry.audit_problems as a (peer, what, times, first_at, last_at, detail)
  values (p_peer, p_what, 1, rowferry._now(), rowferry._now(), p_detail)
  on conflict (peer, what) do update set times = a.times + 1, last_at = excluded.last_at, detail = excluded.detail;
end
$$;
comment on function rowferry._note_problem(text, text, text) is 'Notes what audit() is to name.';
revoke all on function rowferry._note_problem(text, text, text) from public;
