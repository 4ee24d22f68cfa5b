"""What commands print: prose for people, JSON for programs, a progress line for whatever takes over a second."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from typing import Any


class CliError(Exception):
    """A failure told in one sentence; ``code`` is the exit code (1 failed, 3 nothing answers), ``status`` what HTTP said."""

    def __init__(self, message: str, code: int = 1, *, status: int = 0) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def show(as_json: bool, document: Any, prose: str) -> None:
    """Print the document or the prose."""
    print(json.dumps(document, indent=2, default=str) if as_json else prose, flush=True)


class Progress:
    """One line on stderr that is rewritten on a terminal and printed once a step elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet, self._tty, self._open = quiet, sys.stderr.isatty(), False

    def update(self, text: str) -> None:
        """Rewrite the line (terminals only)."""
        if not self._quiet and self._tty:
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()
            self._open = True

    def step(self, text: str) -> None:
        """End the line with its final text."""
        if not self._quiet:
            sys.stderr.write(f"\r\x1b[2K{text}\n" if self._open else f"{text}\n")
            sys.stderr.flush()
            self._open = False


def table(rows: Sequence[tuple[str, ...]], *, right: Collection[int] = ()) -> str:
    """Aligned columns; the first row is the heading."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
        if number == 0:
            lines.append("  ".join("─" * width for width in widths))
    return "\n".join(lines)
