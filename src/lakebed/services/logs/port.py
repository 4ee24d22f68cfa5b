"""Logs of Lambda functions, Firehose and IoT rules. Implements ports.logs."""

from __future__ import annotations

from collections.abc import Sequence

from lakebed.kernel.scope import Scope
from lakebed.services.logs.journal import Journal
from lakebed.services.logs.model import EVENT_BYTES_MAX, Group, Stream


class CloudWatchLogs:
    """Implements ``lakebed.ports.logs.Logs``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def write(self, scope: Scope, group: str, stream: str, events: Sequence[tuple[float, str]]) -> None:
        """See the port. A message beyond the size of an event is cut."""
        if not events:
            return
        with self._journal.k.db.tx():
            home = self._group(scope, group)
            kept = [(int(at * 1000), _cut(message) or " ") for at, message in events]
            self._journal.append(home, self._stream(home, stream), kept)

    def _group(self, scope: Scope, name: str) -> Group:
        found = self._journal.groups.find(scope, name)
        if found is None:
            with self._journal.k.db.tx() as tx:
                self._journal.groups.insert(tx, scope, name, self._journal.now(), {})
        return found or self._journal.group(scope, name)

    def _stream(self, group: Group, name: str) -> Stream:
        found = self._journal.streams.find(group, name)
        if found is None:
            with self._journal.k.db.tx() as tx:
                self._journal.streams.insert(tx, group, name, self._journal.now())
        return found or self._journal.stream(group, name)


def _cut(message: str) -> str:
    """At most the bytes of an event, and only what can be stored: lone surrogates become question marks."""
    encoded = message.encode("utf-8", "replace")
    return encoded[:EVENT_BYTES_MAX].decode("utf-8", "ignore")
