-- From here until as_runner.sql, all that is made belongs to rowferry_owner. Function bodies are not checked, so a function may name something that is made
-- later.
set local role rowferry_owner;
set local check_function_bodies = off;
