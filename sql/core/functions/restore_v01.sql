-- Makes a function of the release again as it was released, with its owner and its rights. It runs with the caller's rights, who has to be a member of rowferry_owner.
create or replace function rowferry.restore(
  p_function text
)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_released rowferry.released;
  v_right rowferry.released_rights;
begin
  select r.* into v_released from rowferry.released r where r.function = p_function;
  if not found then
    raise exception using errcode = 'RF008', message = 'no release made this function', detail = format('%s.', p_function),
      hint = 'select function from rowferry.released order by 1;';
  end if;
  execute v_released.definition;
  execute format('alter function %s owner to rowferry_owner', v_released.function);
  for v_right in
    select v_released.function, case a.grantee when 0 then 'public' else a.grantee::regrole::text end, a.privilege_type
    from pg_proc p
    cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    where p.oid = v_released.function::regprocedure and a.grantee <> p.proowner
  loop
    execute format('revoke all on function %s from %s', v_right.object, v_right.grantee);
  end loop;
  for v_right in select r.* from rowferry.released_rights r where r.object = format('function %s', v_released.function) loop
    execute format('grant %s on %s to %s', v_right.privilege, v_right.object, v_right.grantee);
  end loop;
  return format('%s is what the release made', v_released.function);
end
$$;
comment on function rowferry.restore(text) is 'Makes a function of the release again as it was released.';
revoke all on function rowferry.restore(text) from public;
