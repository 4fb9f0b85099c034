"""What people do by command: compare, first-contact, backfill. Each calls a function, and views tell how far it is."""
