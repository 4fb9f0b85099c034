create or replace function rowferry._note_staggered(
  p_sequence regclass,
  p_block bigint
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if not pg_has_role(session_user, (select c.relowner from pg_class c where c.oid = p_sequence), 'member') then
    raise exception using errcode = '42501', message = 'must be owner of the sequence', detail = format('%s.', p_sequence),
      hint = 'Let the owner of the sequence call this.';
  end if;
  delete from rowferry.staggered_sequences g where not exists (select from pg_class c where c.oid = g.sequence);
  insert into rowferry.staggered_sequences as g (sequence, block) values (p_sequence, p_block)
  on conflict (sequence) do update set block = excluded.block;
  -- The peers hear at once where the sequence goes on. An exchange that has read it before notes an older version.
  update rowferry.entities e set version = nextval('rowferry.entity_ids') where e.id in (select f.id from rowferry._fed_by(p_sequence) f);
end
$$;
comment on function rowferry._note_staggered(regclass, bigint) is
  'For stagger_sequence(): notes for how many ids one value of a sequence stands, which its increment does not tell any more. Whoever may become the owner of '
  'the sequence may call it.';
