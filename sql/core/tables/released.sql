create table rowferry.released (
  function text primary key,
  digest text not null
);
comment on table rowferry.released is 'The functions of the installed release, so that check() finds what was changed since.';
comment on column rowferry.released.function is 'Name and types of the parameters.';
comment on column rowferry.released.digest is 'Digest of its body and of all that decides how the body runs.';
