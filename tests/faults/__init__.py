"""Clients that write on both nodes while faults are injected between, beside and under them; and a judge of what is left."""
