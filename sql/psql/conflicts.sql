-- The last conflicts, with the row that stayed and the one that was given up.
select id, decided_at, entity, record_id, winner, rule, winner_row, loser_row from rowferry.conflicts order by id desc limit 20;
