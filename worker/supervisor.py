"""What systemd wants to know of a service of Type=notify: that it runs, what it does, and that its loop still turns.

The protocol is one datagram (sd_notify(3)); without $NOTIFY_SOCKET, which systemd sets, all of this does nothing.
"""

import contextlib
import os
import socket
import time


class Supervisor:
    """Tells at most once a second that the loop turns: a call of the loop may be over in less than a millisecond."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self.address = f"\0{address[1:]}" if address.startswith("@") else address
        self.alive_at = 0.0

    def tell(self, *lines: str) -> None:
        """Such as READY=1 or STATUS=at work; a supervisor that is gone, or does not read, is no trouble of the worker's."""
        if self.address:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.setblocking(False)
                channel.sendto("\n".join(lines).encode(), self.address)

    def alive(self) -> None:
        now = time.monotonic()
        if self.address and now - self.alive_at >= 1:
            self.alive_at = now
            self.tell("WATCHDOG=1")
