"""Whether a long queue moves as fast as a short one, and how much memory the worker needs meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import psutil
import psycopg

from bench.bed import ROWS, SECONDS, Ours
from bench.report import Result, compared
from bench.run import Run

LONG, SHORT, CHUNK = 5_000_000, 50_000, 500_000
FROM, TO = 200_000, 1_000_000  # rows of the long queue between which its rate is taken
SHORT_RUNS = 7
LAST = "select max(id) from items where id < %s"
PAUSE = 0.002  # seconds between two looks: the figures are drawn from when each look saw how many rows


@dataclass
class Watch:
    """What was seen while a queue moved: (seconds since the epoch, rows there) whenever more had come, when the exchange was
    opened, and the worker's largest memory in MB.
    """

    opened: float = 0.0
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    memory: float = 0.0

    def rate(self, start: int, end: int) -> float:
        """Rows per second from the look that first saw `start` rows to the one that first saw `end`."""
        (from_at, some), (to_at, more) = (next(a for a in self.arrivals if a[1] >= count) for count in (start, end))
        return (more - some) / (to_at - from_at)


def watch(ours: Ours, first: int, count: int) -> Watch:
    """Release what waits, rows `first` and the `count` - 1 after it, and watch it until all is there."""
    found = Watch()
    ours.release()
    assert ours.worker
    process = psutil.Process(ours.worker.pid)
    deadline = time.monotonic() + SECONDS + count / 10_000
    with psycopg.connect(ours.target.conninfo, autocommit=True) as connection:
        seen = 0
        while seen < count:
            last = connection.execute(LAST, [first + count]).fetchone()[0]  # type: ignore[index]
            now = time.time()
            if last is not None and last >= first + seen:
                seen = last - first + 1
                found.arrivals.append((now, seen))
            found.memory = max(found.memory, process.memory_info().rss / 1e6)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{seen} of {count} rows have arrived")
            time.sleep(PAUSE)
    found.opened = ours.began()
    ours.settle()
    ours.hold()
    return found


def measure(run: Run) -> list[Result]:
    """The long queue's rate is of the steady flow; the short one's is counted from the opening to its last row, as in a drain.

    Counted from the arrival of its first batch it would be that of batches which are built already.
    """
    long, chunk = LONG // run.scale, CHUNK // run.scale
    results = []
    with Ours(run.bed, "backlog") as ours:

        def write(first: int, count: int) -> None:
            ours.source.sql(ROWS.format(name="items", first=first, last=first + count - 1))

        at = 1
        short = []
        for number in range((SHORT_RUNS if run.scale == 1 else 3) + 1):
            count = SHORT if number else 4 * SHORT  # the first one warms up: batches find their size
            write(at, count)
            run.bed.checkpoint()
            run.noise.look()
            seen = watch(ours, at, count)
            at += count
            if number:
                short.append(count / (seen.arrivals[-1][0] - seen.opened))
        for first in range(at, at + long, chunk):
            write(first, chunk)
        run.bed.checkpoint()
        run.noise.look()
        seen = watch(ours, at, long)
        rate = seen.rate(FROM, min(TO, long))
        run.say(f"backlog: {rate:,.0f} rows/s of {long:,}, {min(short):,.0f} to {max(short):,.0f} of {SHORT:,}")
        run.say(f"backlog: all of it at {seen.rate(1, long):,.0f} rows/s, the worker had {seen.memory:.0f} MB at most")
        results.append(compared("backlog", [rate], short, "rows/s", 0.95, "more"))
        if run.scale == 1:
            results.append(Result("memory", seen.memory, None, "MB", 80, "less"))
    return results
