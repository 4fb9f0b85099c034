drop table rowferry.conflicts, rowferry.skips, rowferry.backfills, rowferry.applying, rowferry.taken_batches,
  rowferry.built_batches, rowferry.missing_parents, rowferry.held_events, rowferry.moves, rowferry.events;
drop type rowferry._section;
drop table rowferry.entities;
drop sequence rowferry.entity_ids;
drop table rowferry.links;
drop function rowferry.configure_node(text, text[]);
drop function rowferry._identity();
drop function rowferry._index_keys(text[]);
drop function rowferry._index_key(text);
drop function rowferry._left_nothing();
drop function rowferry._now();
