"""Clients write on both nodes, two workers carry through proxies, and faults come at random; then rest, and the judge."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.clients import clients, install
from faults.judge import Tally, judge
from faults.kinds import KINDS, Scene
from faults.processes import supervised, wait_for_exchange
from harness import Nodes, wait_until
from harness.proxy import proxied
from harness.worker import explained, left, wait_for_rest

REST_SECONDS = 90  # at most; usually two or three
RECOVERY_SECONDS = 60  # at most, after one fault
INTERVAL = "0.5"  # of the workers' idle polls: a frozen one is given up the sooner


def run(
    nodes: Nodes, seconds: float, seed: int | str, say: Callable[[str], None] = lambda _: None, each_kind: bool = False
) -> Tally:
    """Inject faults for about so many seconds, the rest at the end included; nodes with rowferry's core, on servers of their own.

    `each_kind`: for longer if need be, until each kind has happened.

    Raises (AssertionError, or pytest's Failed) if the nodes do not come to rest or an exchange does not recover.
    """
    tally = Tally()
    dice = random.Random(f"faults {seed}")
    ends = time.monotonic() + seconds - min(15.0, seconds / 4)
    install(nodes)
    with tempfile.TemporaryDirectory(prefix="rowferry-faults-") as folder, proxied(nodes) as proxies:
        logs = [Path(folder) / f"worker{number}" for number in (1, 2)]
        try:
            with (
                supervised(proxies.nodes, logs[0], "--interval", INTERVAL) as first,
                supervised(proxies.nodes, logs[1], "--interval", INTERVAL) as second,
            ):
                wait_for_rest(nodes, REST_SECONDS)
                with clients(nodes, str(seed)) as found:
                    scene = Scene(nodes, proxies, [first, second], dice, ends)
                    wait_for_exchange(nodes, RECOVERY_SECONDS)
                    for kind in order(dice):
                        if scene.time_left() <= 0 and not (each_kind and len(tally.faults) < len(KINDS)):
                            break
                        with explained(nodes):
                            KINDS[kind](scene)
                        tally.faults[kind] += 1
                        say(f"{sum(tally.faults.values())} faults, the last: {kind}")
                        if dice.random() < 0.6:
                            wait_for_exchange(nodes, RECOVERY_SECONDS)
                        time.sleep(dice.uniform(0, 0.3))
                    wait_for_exchange(nodes, RECOVERY_SECONDS)
                with explained(nodes):
                    wait_until(lambda: not left(nodes), REST_SECONDS, "no event is left")
        except BaseException:
            for log in logs:
                print(log.name, log.read_text()[-3000:])
            raise
        for log in logs:
            tally.note("a worker's traceback", [line for line in log.read_text().splitlines() if "Traceback" in line])
    failures = [failure for client in found for failure in client.failures if not scene.excuses(failure)]
    tally.excused = sum(scene.stopped_in_a_cycle(failure) for failure in failures)
    failures = [failure for failure in failures if not scene.stopped_in_a_cycle(failure)]
    tally.failed = tally.note("failed", (failure.message for failure in failures))
    return judge(nodes, found, tally)


def order(dice: random.Random) -> Iterator[str]:
    """Each kind once, then each once again in another order, without end."""
    while True:
        kinds = list(KINDS)
        dice.shuffle(kinds)
        yield from kinds
