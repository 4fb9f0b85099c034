"""rowferry beside what a user would pick instead, on the same servers in the same run: `make bench`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench import report
from bench.bed import bed
from bench.drain import Drain
from bench.noise import Noise

RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the sizes, without vs_*, memory and idle")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names, or beginnings of names, of scenarios")
    options = parser.parse_args()
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {line}", file=sys.stderr, flush=True)

    def wanted(*names: str) -> bool:
        return not options.only or any(name.startswith(tuple(options.only)) for name in names)

    scale = 5 if options.quick else 1
    results: list[report.Result] = []
    with bed() as servers:
        noise = Noise(servers)
        if wanted("drain", "both_ways"):
            drain = Drain(servers, noise, scale, options.runs, say)
            results.append(drain.inserts())
            results.append(drain.updates())
            results.append(drain.small())
            results.append(drain.few())
            results.append(drain.deletes())
            results.append(drain.both_ways(results[0]))
    print(report.table(results))
    print(f"\n{noise.line()}")
    report.write(results, RESULTS)


if __name__ == "__main__":
    main()
