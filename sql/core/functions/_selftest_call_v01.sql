-- One call of process_batch() in the part of one of the two nodes that selftest() plays in this database. The envelope comes from the other one: the entities in it, which two nodes call alike,
-- bear the names that this part has for them.
create or replace function rowferry._selftest_call(
  p_side text,
  p_token text,
  p_envelope bytea,
  out o_status text,
  out o_envelope bytea
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_other constant text := case p_side when 'left' then 'right' else 'left' end;
  v_theirs constant text := format('selftest_%s_', v_other);
  v_ours constant text := format('selftest_%s_', p_side);
  v_header jsonb;
  v_sections rowferry._section[];
  v_reason text;
begin
  update rowferry.node n set name = 'selftest-' || p_side;
  if p_envelope is not null then
    select replace(d.o_header::text, v_theirs, v_ours)::jsonb, d.o_sections into v_header, v_sections from rowferry._decode(p_envelope) d;
    for i in 1 .. coalesce(cardinality(v_sections), 0) loop
      v_sections[i].entity := replace(v_sections[i].entity, v_theirs, v_ours);
    end loop;
    p_envelope := rowferry._encode(v_header, v_sections);
  end if;
  select b.status, b.envelope, b.reason into o_status, o_envelope, v_reason from rowferry.process_batch('selftest-' || v_other, p_token, p_envelope) b;
  if o_status not in ('moved', 'idle') then
    raise exception using errcode = 'RF018', message = 'the self-test''s exchange does not move',
      detail = format('%s is %s: %s.', p_side, o_status, v_reason), hint = 'select * from rowferry.check();';
  end if;
end
$$;
comment on function rowferry._selftest_call(text, text, bytea) is 'For selftest(): one call of process_batch() in the part of one of its two nodes.';
revoke all on function rowferry._selftest_call(text, text, bytea) from public;
