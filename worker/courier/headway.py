"""Whether a link gets on: when something arrived last, and how long to wait after the next error."""

import time

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # after errors
ONCE_SECONDS = 10.0  # how long `run --once` bears that nothing arrives


class Headway:
    """The pauses after errors grow until something arrives."""

    def __init__(self) -> None:
        self.at, self.pause = time.monotonic(), FIRST_PAUSE

    def made(self, at: float) -> None:
        """Something has arrived, or nothing is left that could."""
        self.at, self.pause = at, FIRST_PAUSE

    def is_missing(self) -> bool:
        """Whether nothing has arrived for longer than `run --once` bears."""
        return time.monotonic() - self.at > ONCE_SECONDS

    def pause_longer(self) -> None:
        """After the next error."""
        self.pause = min(self.pause * 2, LONGEST_PAUSE)
