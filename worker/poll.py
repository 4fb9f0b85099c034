"""Looks whether two nodes have anything to do: many times a second, so with as little of this processor as libpq allows."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Sequence

import psycopg
from psycopg.pq import ExecStatus

from rowferry import sql
from rowferry.connection import SILENCE_SECONDS, Connection

NAME = b"rowferry_look"
Answer = tuple[bytes | None, ...]  # status, first and last event; of an error nothing: a call will find out about it


class Lost(Exception):
    """Connections that failed, or whose server has been silent for too long: place in the sequence, and error."""

    def __init__(self, errors: dict[int, psycopg.Error]) -> None:
        super().__init__(errors)
        self.errors = errors


class Poll:
    """Both nodes are asked at once, in the calling thread. `peers`: their peers' names."""

    def __init__(self, connections: Sequence[Connection], peers: Sequence[str], token: str) -> None:
        self.connections = connections
        self.parameters = [[peer.encode(), token.encode()] for peer in peers]
        self.sockets = select.poll()
        for connection in connections:
            connection.pgconn.prepare(NAME, sql.LOOK)
            self.sockets.register(connection.fileno(), select.POLLIN)

    def look(self, stop: threading.Event, seconds: float) -> list[Answer]:
        """What each node answers; raises Lost once a server has been silent for much longer than a call may take (`seconds`).

        Once told to stop it waits no longer, and the connections are of no more use.
        """
        answers: dict[int, Answer] = {}
        errors: dict[int, psycopg.Error] = {}
        longest = seconds + SILENCE_SECONDS
        deadline = time.monotonic() + longest
        for place, connection in enumerate(self.connections):
            try:
                connection.pgconn.send_query_prepared(NAME, self.parameters[place])
            except psycopg.Error as error:
                errors[place] = error
        while not errors and len(answers) < len(self.connections) and not stop.is_set():
            ready = {socket for socket, _ in self.sockets.poll(1000)}
            for place, connection in enumerate(self.connections):
                if place in answers:
                    continue
                try:
                    if connection.fileno() in ready:
                        connection.pgconn.consume_input()
                    if not connection.pgconn.is_busy():
                        answers[place] = read(connection)
                    elif time.monotonic() > deadline:
                        raise psycopg.OperationalError(f"the server has been silent for {longest:.0f} s")
                except psycopg.Error as error:
                    errors[place] = error
        if errors:
            raise Lost(errors)
        return [answers.get(place, ()) for place in range(len(self.connections))]


def read(connection: Connection) -> Answer:
    """The row of a result that has come; the connection is free again."""
    answer: Answer = ()
    while result := connection.pgconn.get_result():
        if result.status == ExecStatus.TUPLES_OK:
            answer = tuple(result.get_value(0, column) for column in range(3))
    return answer
