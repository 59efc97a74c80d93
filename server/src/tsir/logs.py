"""How everything is logged: lines for people, or JSON for programs; each line of a request carries its id, and none carries a secret."""

from __future__ import annotations

import json
import logging
import re
from contextvars import ContextVar
from datetime import datetime, timezone
from urllib.parse import urlsplit

from tsir.settings import Settings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request that is being answered here. Threads that work for a request inherit it."""

CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
"""What would end a line, or give orders to a terminal: file names and addresses may hold it."""

KEY_IN_ADDRESS = re.compile(r"([?&]key=)[^&\s\"']+")
MASK = "***"
LEAST_SECRET = 4
"""Letters of a secret that is looked for in lines: masking every "a" would hide more than it keeps."""

CHATTERS = ("uvicorn", "pymilvus", "milvus_lite", "httpx", "httpcore", "alembic", "watchfiles", "asyncio", "faiss", "PIL", "grpc")


def start(settings: Settings, *, quiet: bool = False) -> None:
    """Log to standard error as LOG_FORMAT and LOG_LEVEL say. The stores' own chatter only when something is wrong; `quiet`: requests are
    not listed, unless programs read the log.
    """
    handler = logging.StreamHandler()
    handler.setFormatter((JsonLines if settings.log_format == "json" else Lines)(secrets_of(settings)))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    debug = settings.log_level == "DEBUG"
    for name in CHATTERS:
        logging.getLogger(name).setLevel(logging.INFO if debug else logging.WARNING)
    if quiet and not debug and settings.log_format == "text":
        logging.getLogger("tsir.access").setLevel(logging.WARNING)


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """What must stand in no line: keys, tokens and passwords. The longest first, so that a part of one does not hide the rest."""
    found = set(settings.keys) | {entry.partition(":")[2] for entry in settings.keys if entry.startswith(("read:", "write:"))}
    if settings.database_url:
        found.add(settings.database_url.get_secret_value())
        found.add(_password(settings.database_url.get_secret_value()))
    for secret in (settings.milvus_token, settings.mysql_pwd):
        if secret:
            found |= {secret.get_secret_value(), secret.get_secret_value().partition(":")[2]}
    return tuple(sorted((secret for secret in found if len(secret) >= LEAST_SECRET), key=len, reverse=True))


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""


class Lines(logging.Formatter):
    """A line for people: when, how grave, where, what, and of which request."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self._secrets = secrets

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = record.message.translate(CONTROLS)
        id = request_id.get()
        return super().formatMessage(record) + (f" [{id}]" if id else "")

    def format(self, record: logging.LogRecord) -> str:
        return self.masked(super().format(record))

    def masked(self, text: str) -> str:
        """The text without what must not be told."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return KEY_IN_ADDRESS.sub(rf"\1{MASK}", text)


class JsonLines(Lines):
    """An object on each line: time, level, logger, message; request_id, exception and the `fields` of a record where it has some."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self.masked(record.getMessage()),
        }
        if id := request_id.get():
            entry["request_id"] = id
        for name, value in getattr(record, "fields", {}).items():
            entry[name] = self.masked(value) if isinstance(value, str) else value
        if record.exc_info:
            entry["exception"] = self.masked(self.formatException(record.exc_info))
        # ASCII: no letter of a message can end the line, or be something that the reader's encoding lacks.
        return json.dumps(entry)
