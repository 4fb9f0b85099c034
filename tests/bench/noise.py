"""How steady the machine is: the same fixed work, again and again between the runs."""

from __future__ import annotations

import time
from statistics import median

import psycopg

from bench.bed import Bed
from harness.nodes import Node

WORK = "select count(*) from generate_series(1, 1000000) i where i % 7 = 3"


class Noise:
    """Seconds that the fixed work took before each run."""

    def __init__(self, bed: Bed) -> None:
        self.node = Node("crm", bed.servers["crm"], "postgres")
        self.seconds: list[float] = []

    def look(self) -> None:
        """Do the work once."""
        with psycopg.connect(self.node.conninfo, autocommit=True) as connection:
            connection.execute("set max_parallel_workers_per_gather = 0; set jit = off")
            began = time.perf_counter()
            connection.execute(WORK)
            self.seconds.append(time.perf_counter() - began)

    def line(self) -> str:
        """What is said of it under the table."""
        if not self.seconds:
            return "Nothing was measured."
        middle = median(self.seconds)
        low, high = min(self.seconds) / middle - 1, max(self.seconds) / middle - 1
        times = len(self.seconds)
        return f"The same fixed work, {times} times between the runs, took {middle * 1000:.0f} ms ({low:+.0%} to {high:+.0%})."
