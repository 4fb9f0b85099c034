select rowferry.detach('users');
select rowferry.detach('accounts');

drop table public.users;
drop table public.accounts;
