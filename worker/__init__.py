"""rowferry keeps records of two PostgreSQL databases equal, in both directions."""
