-- What a revision makes belongs to rowferry_owner; as_runner.sql ends this. A function may name what is made after it.
set local role rowferry_owner;
set local check_function_bodies = off;
