drop table rowferry.outbox,
  rowferry.released_objects,
  rowferry.released,
  rowferry.staggered_sequences,
  rowferry.peer_facts,
  rowferry.compared_records,
  rowferry.comparisons,
  rowferry.waiting_runs,
  rowferry.breakers,
  rowferry.traffic,
  rowferry.batches,
  rowferry.detached,
  rowferry.conflicts,
  rowferry.skips,
  rowferry.backfills,
  rowferry.applying,
  rowferry.taken_batches,
  rowferry.built_batches,
  rowferry.missing_parents,
  rowferry.held_events,
  rowferry.moves,
  rowferry.events,
  rowferry.entities,
  rowferry.links;
drop sequence rowferry.entity_ids;
drop sequence rowferry.stirs;
drop function rowferry._stir();
drop function rowferry._index_key(text), rowferry._long_key(text);
