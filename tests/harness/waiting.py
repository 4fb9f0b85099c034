"""Waiting for a condition, in place of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], seconds: float, what: str) -> T:
    """Poll until the predicate returns something true, and return that; fail the test naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while True:
        late = time.monotonic() > deadline  # read first: a last look always comes after the deadline
        found = predicate()
        if found:
            return found
        if late:
            pytest.fail(f"waited {seconds:g} s in vain: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
