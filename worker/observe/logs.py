"""How the worker's log looks: lines for people, or one JSON object a line for programs."""

import json
import logging
from datetime import UTC, datetime


class Json(logging.Formatter):
    """{"time": ISO 8601 in UTC, "level": .., "message": ..}, one line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"time": at, "level": record.levelname.lower(), "message": record.getMessage()}, ensure_ascii=False)


def start(level: int, as_json: bool, with_time: bool) -> None:
    """Log to stderr from now on."""
    handler = logging.StreamHandler()
    people = logging.Formatter("%(asctime)s rowferry: %(message)s" if with_time else "rowferry: %(message)s")
    handler.setFormatter(Json() if as_json else people)
    logger = logging.getLogger("rowferry")
    logger.addHandler(handler)
    logger.setLevel(level)
