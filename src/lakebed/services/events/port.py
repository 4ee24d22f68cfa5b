"""EventBridge for other services: what happens to their resources. Implements ports.events."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lakebed.api.events import ResourceNotFoundException
from lakebed.kernel.scope import Scope
from lakebed.services.events.exchange import Exchange
from lakebed.services.events.model import DEFAULT, Bus, Event


class DefaultBus:
    """Implements ``lakebed.ports.events.Events``."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def put(
        self,
        scope: Scope,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        *,
        resources: Sequence[str] = (),
        event_id: str | None = None,
        bus: str = DEFAULT,
    ) -> None:
        """See the port."""
        k = self._exchange.k
        text = json.dumps(detail, ensure_ascii=False, separators=(",", ":"))
        event = Event(scope, event_id or k.ids.uuid(), source, detail_type, text, k.clock.now(), list(resources))
        found = self._exchange.buses.find(scope, bus)
        if found is None and bus != DEFAULT:
            raise ResourceNotFoundException(f"Event bus {bus} does not exist.")
        self._exchange.put(found or Bus(scope, DEFAULT, 0.0), [event], is_repeatable=event_id is None)
