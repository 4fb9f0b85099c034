create table rowferry.released (
  function text primary key,
  digest text not null
);
comment on table rowferry.released is 'The functions that the installed release made, for check() to find what was changed since.';
comment on column rowferry.released.function is 'Name and types of the parameters.';
comment on column rowferry.released.digest is 'Digest of its body and of all that decides how it runs.';
