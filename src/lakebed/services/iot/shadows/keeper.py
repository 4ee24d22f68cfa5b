"""The Device Shadow service: requests from the HTTP operations and from MQTT, and the messages that follow from them.

Each request is one transaction; then ``accepted`` or ``rejected`` goes to the requester's topic and, after an update,
``documents`` and (where desired and reported differ) ``delta`` to everybody's
(https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-mqtt.html). These messages are at QoS 1 and meet
topic rules, as on AWS. A deleted shadow's version is remembered for two days.
"""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.devices import DeviceIdentity, PublishedMessage
from lakebed.ports.house import Ports
from lakebed.services.iot.rules import RuleEngine
from lakebed.services.iot.shadows import document
from lakebed.services.iot.shadows.document import ShadowError
from lakebed.services.iot.shadows.store import ShadowStore

_DELETED_KEPT_SECONDS = 48 * 3600
_METHODS = ("get", "update", "delete")


class ShadowKeeper:
    """See the module."""

    def __init__(self, k: Kernel, p: Ports, store: ShadowStore, engine: RuleEngine) -> None:
        self._k, self._p, self.store, self._engine = k, p, store, engine

    async def ask(self, scope: Scope, method: str, thing: str, name: str, payload: bytes, protocol: str) -> bytes:
        """Do what is asked and tell the topics; the answer's payload. ShadowError where it is refused (told as well)."""
        now = int(self._k.clock.now())
        topic = f"$aws/things/{thing}/shadow/{f'name/{name}/' if name else ''}{method}"
        told: list[tuple[str, dict[str, Any]]] = []
        try:
            match method:
                case "get":
                    answer, token = self._get(scope, thing, name, payload, now)
                case "update":
                    answer, token, told = self._update(scope, thing, name, payload, now)
                case _:
                    answer, token = self._delete(scope, thing, name, payload, now)
        except ShadowError as refused:
            report: dict[str, Any] = {"code": refused.code, "message": refused.message, "timestamp": now}
            await self._tell(scope, f"{topic}/rejected", report, document.token_of(payload))
            self._count(scope, f"{method.capitalize()}ThingShadow.Rejected", protocol)
            raise
        self._count(scope, f"{method.capitalize()}ThingShadow.Accepted", protocol)
        await self._tell(scope, f"{topic}/accepted", answer, token)
        for suffix, body in told:
            await self._tell(scope, f"{topic}/{suffix}", body, token)
        return _encoded(answer, token)

    async def answer(self, identity: DeviceIdentity, _client_id: str, message: PublishedMessage) -> None:
        """A request that came over MQTT; the topics tell the outcome."""
        parsed = parse_topic(message.topic)
        if parsed is None:
            return
        method, thing, name = parsed
        with contextlib.suppress(ShadowError):
            await self.ask(identity.scope, method, thing, name, message.payload, "MQTT")

    def _get(self, scope: Scope, thing: str, name: str, payload: bytes, now: int) -> tuple[dict[str, Any], str | None]:
        _, token = document.read_version(payload)
        shadow, _ = self.store.shadow(scope, thing, name)
        if shadow is None:
            raise _absent(thing, name)
        return document.whole(shadow, now), token

    def _update(
        self, scope: Scope, thing: str, name: str, payload: bytes, now: int
    ) -> tuple[dict[str, Any], str | None, list[tuple[str, dict[str, Any]]]]:
        change = document.read_change(payload)
        with self.store.db.tx() as tx:
            before, last = self.store.shadow(scope, thing, name)
            after = document.changed(before, last, change, now)
            self.store.put(tx, scope, thing, name, after)
        told: list[tuple[str, dict[str, Any]]] = []
        if delta := after.delta:
            body = {"version": after.version, "timestamp": now, "state": delta, "metadata": after.delta_metadata}
            told.append(("delta", body))
        documents: dict[str, Any] = {"timestamp": now}
        if before is not None:
            documents["previous"] = _kept(before)
        documents["current"] = _kept(after)
        told.append(("documents", documents))
        return document.accepted(after, change, now), change.token, told

    def _delete(
        self, scope: Scope, thing: str, name: str, payload: bytes, now: int
    ) -> tuple[dict[str, Any], str | None]:
        version, token = document.read_version(payload)
        with self.store.db.tx() as tx:
            shadow, _ = self.store.shadow(scope, thing, name)
            if shadow is None:
                raise _absent(thing, name)
            if version is not None and version != shadow.version:
                raise ShadowError(409, "Version conflict")
            self.store.delete(tx, scope, thing, name, now)
            self.store.forget_deleted(tx, now - _DELETED_KEPT_SECONDS)
        return {"version": shadow.version, "timestamp": now}, token

    async def _tell(self, scope: Scope, topic: str, body: dict[str, Any], token: str | None) -> None:
        await self._engine.tell(scope, topic, _encoded(body, token))

    def _count(self, scope: Scope, metric: str, protocol: str) -> None:
        self._p.metrics.put(scope, "AWS/IoT", [(metric, {"Protocol": protocol}, 1.0, "Count")])


def parse_topic(topic: str) -> tuple[str, str, str] | None:
    """(method, thing, shadow name) of a request topic; None for any other topic."""
    match topic.split("/"):
        case ["$aws", "things", thing, "shadow", method] if method in _METHODS and thing:
            return method, thing, ""
        case ["$aws", "things", thing, "shadow", "name", name, method] if method in _METHODS and thing and name:
            return method, thing, name
    return None


def _kept(shadow: document.Shadow) -> dict[str, Any]:
    return {"state": shadow.state, "metadata": shadow.metadata, "version": shadow.version}


def _absent(thing: str, name: str) -> ShadowError:
    return ShadowError(404, f"No shadow exists with name: '{f'{thing}~{name}' if name else thing}'")


def _encoded(body: dict[str, Any], token: str | None) -> bytes:
    return msgspec.json.encode(body if token is None else {**body, "clientToken": token})
