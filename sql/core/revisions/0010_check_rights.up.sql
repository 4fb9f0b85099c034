grant select on rowferry.peer_facts to rowferry_viewer;
grant execute on function rowferry.check(text), rowferry.drift() to rowferry_viewer;
grant execute on function rowferry.stagger_sequence(regclass, integer, integer), rowferry._staggering(regclass) to rowferry_operator;
