create or replace function rowferry._refuse_stranger(
  p_table regclass,
  p_why text default null
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_owner constant oid := (select c.relowner from pg_class c where c.oid = p_table);
  -- From PostgreSQL 16 on, using a role's rights and giving an object to the role are two rights.
  v_set constant text := case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end;
begin
  if not pg_has_role(current_user, 'rowferry_owner', 'usage') or not pg_has_role(current_user, v_owner, 'usage')
    or not pg_has_role(current_user, 'rowferry_owner', v_set) or not pg_has_role(current_user, v_owner, v_set) then
    raise exception using errcode = '42501', message = 'attaching a table needs the rights of its owner and of rowferry_owner',
      detail = concat_ws(' ', format('%s belongs to %I; the current role is %I.', p_table, pg_get_userbyid(v_owner), current_user), p_why),
      hint = format('As a superuser: grant %I, rowferry_owner to %I%s;', pg_get_userbyid(v_owner), current_user,
        case v_set when 'set' then ' with inherit true, set true' end);
  end if;
end
$$;
comment on function rowferry._refuse_stranger(regclass, text) is
  'Raises an error if the current role may not make functions and triggers for this table. p_why says what the table has to do with the one that is attached.';
