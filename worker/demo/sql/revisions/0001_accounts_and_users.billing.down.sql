select rowferry.detach('users');
select rowferry.detach('accounts');

drop table public.contacts;
drop table public.customers;
