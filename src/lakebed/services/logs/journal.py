"""What happens to log events: writing and reading them in bounded pages. The API and the port both come here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lakebed.api import logs as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.services.logs.filters import Filters
from lakebed.services.logs.model import EVENT_OVERHEAD, PAGE_BYTES_MAX, Event, Group, Place, Stream
from lakebed.services.logs.store import EventStore, GroupStore, StreamStore

RETENTION_TASK = "logs:retention"
_LOOKED_AT_MAX = 20_000
_BYTES_LOOKED_AT_MAX = 8 << 20


class Journal:
    """All log groups of the house."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self.k = k
        self.groups = GroupStore(k.db)
        self.streams = StreamStore(k.db)
        self.events = EventStore(k.db)
        self.filters = Filters(k, p)

    def now(self) -> int:
        """Epoch milliseconds."""
        return int(self.k.clock.now() * 1000)

    def group(self, scope: Scope, name: str) -> Group:
        """ResourceNotFoundException where there is none."""
        found = self.groups.find(scope, name)
        if found is None:
            raise api.ResourceNotFoundException("The specified log group does not exist.")
        return found

    def stream(self, group: Group, name: str) -> Stream:
        """ResourceNotFoundException where there is none."""
        found = self.streams.find(group, name)
        if found is None:
            raise api.ResourceNotFoundException("The specified log stream does not exist.")
        return found

    def append(self, group: Group, stream: Stream, events: Sequence[tuple[int, str]]) -> None:
        """Store (epoch milliseconds, message) pairs, durable when this returns."""
        if not events:
            return
        now, times = self.now(), [timestamp for timestamp, _ in events]
        size = sum(len(message.encode()) + EVENT_OVERHEAD for _, message in events)
        with self.k.db.tx() as tx:
            last = self.events.insert(tx, group, stream, now, events)
            self.streams.touch(tx, stream, min(times), max(times), now)
            self.groups.add_bytes(tx, group.id, size)
            first = last - len(events) + 1
            written = [Event(at, first + place, stream.id, now, message) for place, (at, message) in enumerate(events)]
            self.filters.apply(tx, group, stream, written)
        self.k.meters.into(group.arn, len(events), size)

    def page(
        self,
        owner: tuple[str, int],
        start: Place,
        between: tuple[int, int],
        *,
        limit: int,
        backward: bool = False,
        wanted: Callable[[Event], bool] | None = None,
    ) -> tuple[list[Event], Place | None]:
        """Events from ``start`` on in reading order, bounded in number, bytes and work; where to go on, None at the end."""
        found: list[Event] = []
        size = looked_at = bytes_looked_at = 0
        place = start
        with self.k.db.tx() as tx:
            for event in self.events.read(owner, start, between, backward=backward, tx=tx):
                looked_at += 1
                bytes_looked_at += len(event.message)
                if wanted is None or wanted(event):
                    size += len(event.message.encode()) + EVENT_OVERHEAD
                    if found and (len(found) == limit or size > PAGE_BYTES_MAX):
                        return found, place
                    found.append(event)
                place = Place(event.timestamp, event.id - 1) if backward else event.place
                if looked_at == _LOOKED_AT_MAX or bytes_looked_at > _BYTES_LOOKED_AT_MAX:
                    return found, place
        return found, None
