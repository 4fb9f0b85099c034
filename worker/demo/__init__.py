"""The demo: rowferry's main job, shown on two throw-away servers with the commands and the SQL that people type."""
