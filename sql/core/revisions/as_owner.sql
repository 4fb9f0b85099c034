-- What a revision makes belongs to rowferry_owner; as_runner.sql ends this.
set local role rowferry_owner;
