"""rowferry beside what a user would pick instead, on the same servers in the same run: `make bench`."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import (
    backlog,
    call,
    capture,
    document,
    drain,
    growth,
    idle,
    latency,
    outbox,
    peers,
    picture,
    report,
    snapshot,
    stars,
    users,
)
from bench.bed import bed
from bench.noise import Noise
from bench.report import Result
from bench.run import Run, Section

REPO = Path(__file__).resolve().parents[2]
DOCS = REPO / "docs"
RESULTS = Path(__file__).parent / "results.json"
DRAIN = (
    "drain_inserts",
    "drain_updates",
    "drain_small",
    "drain_hot",
    "drain_deletes",
    "drain_short",
    "both_ways",
    "drain_conflicts",
)
CALLS = ("call_idle", "call_build", "call_apply")
TRANSACTIONS = ("capture_oltp", "capture_async")
BULK = ("capture_bulk_insert", "capture_bulk_update", "capture_bulk_delete")

EXTRAS = {
    ("users_p50", "users_p99"): users.measure,
    ("entities_100",): growth.measure,
    ("disk",): growth.disk,
    ("star",): stars.measure,
    ("outbox",): outbox.measure,
}
DEBIAN = ("capture_vs_bucardo", "vs_bucardo", "vs_pglogical")


def main() -> int:
    """The exit code: 1 if a scenario could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a fifth of the sizes, without capture_vs_*, vs_*, memory, idle and the extras"
    )
    parser.add_argument("--scale", type=int, help="divide sizes by this")
    parser.add_argument("--runs", type=int, default=3, help="of each way")
    parser.add_argument("--only", nargs="*", help="names, or beginnings of names, of scenarios; writes no file")
    parser.add_argument("--write-docs", action="store_true", help="put the figures into docs/performance.md too")
    options = parser.parse_args()
    whole = not (options.quick or options.scale or options.only)
    if options.write_docs and (options.scale or options.only):
        parser.error("--write-docs wants all scenarios")
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that servers and workers are ended
    began = time.monotonic()
    failed: list[str] = []
    results: list[Result] = []
    sections: list[Section] = []

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {line}", file=sys.stderr, flush=True)

    def wanted(name: str) -> bool:
        return not options.only or name.startswith(tuple(options.only)) or any(word.startswith(name) for word in options.only)

    def attempt(names: tuple[str, ...], measure: Callable[[], list[Result]]) -> None:
        """What cannot be measured is said, and the others are."""
        if any(wanted(name) for name in names):
            try:
                results.extend(result for result in measure() if wanted(result.name))
            except Exception as error:
                failed.append(f"{names[0]}: {type(error).__name__}: {error}")
                say(f"not measured: {failed[-1]}")

    with bed() as servers:
        noise = Noise(servers)
        version = noise.node.sql("show server_version")[0]["server_version"]
        run = Run(servers, noise, options.scale or (5 if options.quick else 1), options.runs, say)

        def with_section(measure: Callable[[Run], tuple[Section, list[Result]]]) -> list[Result]:
            section, found = measure(run)
            sections.append(section)
            return found

        attempt(DRAIN, lambda: drain.measure(run, wanted))
        attempt(("latency_p50", "latency_p99"), lambda: latency.measure(run))
        attempt(("latency_rest",), lambda: with_section(latency.rest))
        attempt(CALLS, lambda: call.measure(run))
        attempt(TRANSACTIONS, lambda: capture.transactions(run, tuple(name for name in TRANSACTIONS if wanted(name))))
        attempt(("capture_lean",), lambda: capture.lean(run))
        attempt(("capture_3_peers",), lambda: capture.three_peers(run))
        attempt(BULK, lambda: capture.bulk(run))
        attempt(("held_xmin",), lambda: snapshot.measure(run))
        attempt(("backlog", "memory"), lambda: backlog.measure(run))
        if not options.quick:
            attempt(("idle",), lambda: idle.measure(run))
            attempt(("vs_article",), lambda: peers.article(run))
            for names, extra in EXTRAS.items():
                attempt(names, lambda extra=extra: with_section(extra))
            absent = peers.lacking()
            if absent and any(map(wanted, DEBIAN)):
                failed.append(f"{', '.join(DEBIAN)}. Hint: apt-get install {' '.join(absent)}")
            else:
                attempt(("capture_vs_bucardo",), lambda: capture.bucardo(run))
                attempt(("vs_pglogical",), lambda: peers.pglogical(run))
                attempt(("vs_bucardo",), lambda: peers.bucardo(run))
    figures = [report.table(results), noise.line(), report.machine(version)]
    if options.quick:
        figures.insert(
            0, "From a QUICK run: a fifth of the sizes, without `capture_vs_*`, `vs_*`, `memory`, `idle` and the other sections."
        )
    figures += [f"Not measured: {line}" for line in failed]
    figures += [report.told(section) for section in sections]
    print("\n\n".join(figures))
    if not options.only:
        report.write(results, RESULTS, not whole)
        picture.draw(results, DOCS / "benchmark.svg" if whole or options.write_docs else REPO / "build" / "benchmark.svg")
    if options.write_docs:
        document.put("\n\n".join(figures), DOCS / "performance.md")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
