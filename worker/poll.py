"""Looks whether two nodes have anything to do: many times a second, so with as little of this processor as libpq allows."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Sequence

import psycopg
from psycopg.pq import ExecStatus

from rowferry.connection import SILENCE_SECONDS, Connection

Answer = tuple[bytes | None, ...]  # status, first and last event; of an error nothing: a call will find out about it


class Lost(Exception):
    """Connections that failed, or whose server has been silent for too long: place in the sequence, and error."""

    def __init__(self, errors: dict[int, psycopg.Error]) -> None:
        super().__init__(errors)
        self.errors = errors


class Poll:
    """Both nodes are asked at once, in the calling thread. `name`: of the statement that is prepared on each connection."""

    def __init__(self, connections: Sequence[Connection], name: str) -> None:
        self.connections = connections
        self.name = name.encode()
        self.sockets = select.poll()

    def look(self, stop: threading.Event, seconds: float) -> list[Answer]:
        """What each node answers; raises Lost once a server has been silent for much longer than a call may take (`seconds`).

        Once told to stop it waits no longer, and the connections are of no more use.
        """
        answers: dict[int, Answer] = dict.fromkeys(range(len(self.connections)), ())
        waiting: dict[int, int] = {}  # socket and place
        errors: dict[int, psycopg.Error] = {}
        longest = seconds + SILENCE_SECONDS
        deadline = time.monotonic() + longest
        for place, connection in enumerate(self.connections):
            try:
                connection.pgconn.send_query_prepared(self.name, None)
                waiting[connection.fileno()] = place
                self.sockets.register(connection.fileno(), select.POLLIN)
            except psycopg.Error as error:
                errors[place] = error
        while not errors and waiting and not stop.is_set():
            ready = [socket for socket, _ in self.sockets.poll(1000)]
            if not ready and time.monotonic() > deadline:
                silence = psycopg.OperationalError(f"the server has been silent for {longest:.0f} s")
                errors = dict.fromkeys(waiting.values(), silence)
            for socket in ready:
                place = waiting[socket]
                try:
                    if self.read(place, answers):
                        del waiting[socket]
                        self.sockets.unregister(socket)
                except psycopg.Error as error:
                    errors[place] = error
        for socket in waiting:
            self.sockets.unregister(socket)
        if errors:
            raise Lost(errors)
        return [answers[place] for place in sorted(answers)]

    def read(self, place: int, answers: dict[int, Answer]) -> bool:
        """Takes what has come; True once that is all, and the connection is free again. Never waits."""
        connection = self.connections[place].pgconn
        connection.consume_input()
        while not connection.is_busy():
            result = connection.get_result()
            if result is None:
                return True
            if result.status == ExecStatus.TUPLES_OK:
                answers[place] = tuple(result.get_value(0, column) for column in range(3))
        return False
