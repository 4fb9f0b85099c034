"""What the courier says while it works: to the log, to systemd, and on a terminal."""

import logging

from rowferry.observe.progress import Progress
from rowferry.supervisor import Supervisor

log = logging.getLogger("rowferry")


class News:
    """Says each change of state once."""

    def __init__(self) -> None:
        self.said = ""
        self.progress, self.supervisor = Progress(), Supervisor()

    def say(self, level: int, message: str) -> None:
        """Log a change of state, once."""
        if message != self.said:
            self.said = message
            self.progress.show({})
            self.supervisor.tell(f"STATUS={message}")
            log.log(level, "%s", message)
