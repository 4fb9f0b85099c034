-- Why a link does not move, or not all of it, and what to type next; no rows where all is well.
select severity, cause, since, object, type_next from rowferry.why_stuck();
