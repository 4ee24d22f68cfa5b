"""Structured log: one JSON object a line, with a bounded tail kept in memory for the console and ``lakebed logs``.

Values that look like secrets are never passed in by Lakebed's code; as a second line, known secret keys are dropped here.
"""

from __future__ import annotations

import sys
import traceback
from collections import deque
from typing import Any, TextIO

import msgspec

from lakebed.kernel.clock import Clock

_SECRET_KEYS = frozenset({"secret", "secret_key", "password", "token", "session_token", "authorization", "signature"})
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Log:
    """Writes lines to a stream (None: memory only) and remembers the last ``keep``."""

    def __init__(
        self, clock: Clock, stream: TextIO | None = sys.stderr, *, level: str = "info", keep: int = 2000
    ) -> None:
        self._clock = clock
        self._stream = stream
        self._level = _LEVELS[level]
        self.tail: deque[dict[str, Any]] = deque(maxlen=keep)

    def debug(self, event: str, **fields: Any) -> None:
        """Detail for someone who is looking for a fault."""
        self._write("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Something an operator expects to read."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something went wrong and is being dealt with."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something is broken and stays so."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if _LEVELS[level] < self._level:
            return
        failure = fields.pop("exc", None)
        line: dict[str, Any] = {"at": round(self._clock.now(), 3), "level": level, "event": event}
        line.update((key, value) for key, value in fields.items() if key not in _SECRET_KEYS)
        if isinstance(failure, BaseException):
            line["error"] = f"{type(failure).__name__}: {failure}"
            line["trace"] = "".join(traceback.format_exception(failure))[-4000:]
        self.tail.append(line)
        if self._stream is not None:
            try:
                self._stream.write(msgspec.json.encode(line, enc_hook=str).decode() + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                self._stream = None  # the terminal went away; the tail in memory goes on
