create type rowferry._rare as (
  held boolean,
  entities boolean,
  missing boolean,
  moves boolean,
  skips boolean,
  backfills boolean,
  comparisons boolean
);

comment on type rowferry._rare is
  'Which of the rare things there are, of any link: held events; an entity that is held or paused; parents that a peer lacks; rows that moved, or whose place '
  'is to be weighed; skips that are to be performed; backfills; comparisons. Most calls find none, and then look no further for any.';
