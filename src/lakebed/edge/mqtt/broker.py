"""Routing between sessions, retained messages, wills and lifecycle events: the door's middle, with no socket in it.

``accept`` takes a device's message (authorised by its connection): it is retained where asked and offered to every
subscriber. ``commit`` then makes the queue rows of persistent sessions durable, once for everything one socket read
brought. Rules are not run here; the connection hands the batch to the gate afterwards. ``publish`` is the way in for
services and never reaches the gate.

https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html,
https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from lakebed.edge.mqtt import limits
from lakebed.edge.mqtt.session import Outlet, Session
from lakebed.edge.mqtt.store import SessionStore
from lakebed.edge.mqtt.tree import FilterTree, Options
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.devices import (
    NO_PROPERTIES,
    BrokerAddress,
    ClientInfo,
    ConnectionInfo,
    DeviceGate,
    DeviceIdentity,
    IngestUnavailableError,
    MessageProperties,
    PublishedMessage,
    RetainedMessage,
)
from lakebed.wire.mqtt.reasons import Reason
from lakebed.wire.mqtt.topics import is_wildcard, matches, shared


class Live(Outlet, Protocol):
    """A connection, as the broker knows it."""

    identity: DeviceIdentity

    def info(self) -> ConnectionInfo:
        """For the console."""
        ...

    def told(self, known: ClientInfo) -> ClientInfo:
        """What the connection adds to what is known of its client."""
        ...

    def end(self, reason: Reason, event: str, *, will: bool = True) -> None:
        """Close it; ``event`` is the lifecycle event's disconnectReason."""
        ...


class PendingWill(NamedTuple):
    """A will of a connection that ended, with whom it speaks for; ``due`` follows MQTT 5's delay."""

    due: float
    identity: DeviceIdentity
    client_id: str
    message: PublishedMessage


class QuotaExceededError(Exception):
    """A bound of the account is reached; the message names it."""


class MessageBroker:
    """``lakebed.ports.devices.Broker`` and what connections need beyond it."""

    def __init__(self, k: Kernel) -> None:
        self.k = k
        self.store = SessionStore(k.db)
        self.live: dict[tuple[Scope, str], Live] = {}
        self._sessions: dict[tuple[Scope, str], Session] = {}
        self._trees: dict[Scope, FilterTree[Session]] = {}
        self._delayed: dict[tuple[Scope, str], PendingWill] = {}
        self._versions: dict[tuple[Scope, str], tuple[int, float | None]] = {}  # and since when the client is gone
        self._background: set[asyncio.Task[None]] = set()
        self._gate: DeviceGate | None = None
        self.connections_made: Callable[[DeviceIdentity], asyncio.Protocol] | None = None  # set by the door
        self.bound = BrokerAddress(k.settings.mqtt.host, None, None)

    # Life

    def open(self, gate: DeviceGate) -> None:
        """Bring persistent sessions back; their clients count as gone since now at the latest."""
        self._gate, now = gate, self.k.clock.now()
        for stored in self.store.sessions():
            session = Session(stored.scope, stored.client_id, self.store, stored.expiry_seconds)
            session.is_stored = True
            session.queued, session.queued_bytes = stored.queued, stored.queued_bytes
            session.last_sequence = stored.last_sequence
            # What may have been sent before the crash is sent again with DUP.
            session.sent_through = stored.first_sequence + limits.IN_FLIGHT_MAX - 1 if stored.queued else 0
            session.disconnected_at = stored.disconnected_at if stored.disconnected_at is not None else now
            if stored.disconnected_at is None:
                self.store.save_session(stored.scope, stored.client_id, stored.expiry_seconds, now)
            self._sessions[stored.scope, stored.client_id] = session
            for topic_filter, options in self.store.subscriptions(stored.scope, stored.client_id).items():
                session.subscriptions[topic_filter] = options
                self._tree(stored.scope).add(topic_filter, session, options)

    async def close(self, *, wills: bool = True) -> None:
        """End every connection, speak their wills (none is kept over a restart) and finish what was begun."""
        for live in list(self.live.values()):
            live.end(Reason.SERVER_SHUTTING_DOWN, "SERVER_INITIATED_DISCONNECT", will=wills)
        for key in list(self._delayed) if wills else ():
            self._publish_will(self._delayed.pop(key))
        while self._background:
            await asyncio.gather(*self._background, return_exceptions=True)
        self.store.commit()

    @property
    def gate(self) -> DeviceGate:
        """The services' side; there once the door is open."""
        assert self._gate is not None, "the door is not open"
        return self._gate

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Work that ``close`` waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # Sessions

    def open_session(
        self, live: Live, scope: Scope, client_id: str, *, clean: bool, expiry_seconds: int
    ) -> tuple[Session, bool]:
        """The session of a client that connects, and whether it was there before. Ends a connection it takes over."""
        key = (scope, client_id)
        if (other := self.live.get(key)) is not None:
            other.end(Reason.SESSION_TAKEN_OVER, "DUPLICATE_CLIENTID")
        will = self._delayed.pop(key, None)
        session = self._sessions.get(key)
        if session is not None and (clean or self._is_expired(session)):
            self._drop(session)
            session = None
        if will is not None and session is None:
            self._publish_will(will)  # its session ended here ([MQTT-3.1.3-9])
        present = session is not None
        if session is None:
            if len(self._sessions) >= limits.SESSIONS_MAX:
                raise QuotaExceededError(f"there are {limits.SESSIONS_MAX} sessions")
            session = self._sessions[key] = Session(scope, client_id, self.store)
        session.disconnected_at = None
        if expiry_seconds:
            session.make_stored(expiry_seconds)
        else:
            session.expiry_seconds = 0  # a resumed session now ends with its connection
        self._versions[key] = (self._versions.get(key, (-1, None))[0] + 1, None)
        self.live[key] = live
        return session, present

    def connection_ended(self, live: Live, session: Session, will: PendingWill | None) -> None:
        """A connection is gone: keep or drop its session, and speak its will unless it waits."""
        key, now = (session.scope, session.client_id), self.k.clock.now()
        if self.live.get(key) is live:
            del self.live[key]
            self._versions[key] = (self._versions[key][0], now)
        session.detach(now)
        if session.expiry_seconds and session.is_stored:
            self.store.commit()
            self.store.save_session(session.scope, session.client_id, session.expiry_seconds, now)
            if will is not None and will.due > now:
                expires = now + session.expiry_seconds
                self._delayed[key] = will._replace(due=min(will.due, expires))
                will = None
        else:
            self._drop(session)
        if will is not None:
            self._publish_will(will)

    def version(self, scope: Scope, client_id: str) -> int:
        """How many connections of a client there were since it was last away for an hour: lifecycle events tell it."""
        return self._versions.get((scope, client_id), (0, None))[0]

    def sweep(self, now: float) -> float | None:
        """End sessions and speak wills whose time has come; when to look again."""
        for key, (_, gone) in list(self._versions.items()):
            if gone is not None and gone + limits.SESSION_EXPIRY_MAX <= now:
                del self._versions[key]
        for key, will in list(self._delayed.items()):
            if will.due <= now:
                del self._delayed[key]
                self._publish_will(will)
        ends = [will.due for will in self._delayed.values()]
        for session in list(self._sessions.values()):
            if self._is_expired(session):
                self._drop(session)
            elif session.expires_at is not None:
                ends.append(session.expires_at)
        self.store.commit()
        return min(ends, default=None)

    def subscribe(self, session: Session, wanted: Sequence[tuple[str, Options]]) -> None:
        """Record subscriptions that were authorised and found well formed."""
        tree = self._tree(session.scope)
        for topic_filter, options in wanted:
            session.subscriptions[topic_filter] = options
            tree.add(topic_filter, session, options)
        if session.is_stored and wanted:
            self.store.subscribe(session.scope, session.client_id, wanted)

    def unsubscribe(self, session: Session, topic_filters: Sequence[str]) -> None:
        """Drop subscriptions."""
        for topic_filter in topic_filters:
            if session.subscriptions.pop(topic_filter, None) is not None:
                self._tree(session.scope).remove(topic_filter, session)
        if session.is_stored:
            self.store.unsubscribe(session.scope, session.client_id, topic_filters)

    def offer_retained(self, session: Session, topic_filter: str, options: Options) -> None:
        """Send what is retained under a new subscription."""
        if shared(topic_filter) is not None:
            return
        now = self.k.clock.now()
        if is_wildcard(topic_filter):
            prefix = min(topic_filter.partition("+")[0], topic_filter.partition("#")[0], key=len)
            found = [
                message
                for message in self.store.retained_after(session.scope, prefix, limits.RETAINED_MAX, inclusive=True)
                if message.topic.startswith(prefix) and matches(topic_filter, message.topic)
            ]
        else:
            message = self.store.retained(session.scope, topic_filter)
            found = [message] if message is not None else []
        for kept in found:
            published = PublishedMessage(kept.topic, kept.payload, kept.qos, True, kept.stored_at, kept.properties)
            session.offer(published, (options,), now, retained=True)

    # Messages

    def accept(self, scope: Scope, message: PublishedMessage, sender: Session | None = None) -> None:
        """Retain and route one message; ``commit`` follows. QuotaExceededError: it may not be retained."""
        topic, now = message.topic, message.received_at
        if topic.startswith(limits.RULES_PREFIX):
            return  # basic ingest reaches rules only
        if message.retain:
            kept = RetainedMessage(topic, message.payload, message.qos, now, message.properties)
            if not self.store.retain(scope, kept, limits.RETAINED_MAX):
                raise QuotaExceededError(f"{limits.RETAINED_MAX} topics retain a message")
        tree = self._trees.get(scope)
        if tree is None:
            return
        found = tree.match(topic)
        for session, options in found.subscribers:
            if session is sender and any(option.no_local for option in options):
                options = [option for option in options if not option.no_local]
                if not options:
                    continue
            session.offer(message, options, now)
        for group in found.groups:
            members = list(group.members.items())
            present = [member for member in members if member[0].outlet is not None] or members
            group.turn += 1
            session, option = present[group.turn % len(present)]
            session.offer(message, (option,), now)

    def commit(self) -> None:
        """Make queued messages durable."""
        self.store.commit()

    def announce(
        self, identity: DeviceIdentity, client_id: str, kind: str, facts: dict[str, Any]
    ) -> PublishedMessage | None:
        """Route a lifecycle event (``presence/connected``); the message, for the rules. None where AWS sends none."""
        if "+" in client_id or "#" in client_id:
            return None
        now = self.k.clock.now()
        body = {"clientId": client_id, "timestamp": int(now * 1000), "eventType": kind.rpartition("/")[2], **facts}
        body["principalIdentifier"] = identity.certificate_id
        event = PublishedMessage(f"$aws/events/{kind}/{client_id}", msgspec.json.encode(body), 1, False, now)
        self.accept(identity.scope, event)
        return event

    def ingest_later(self, identity: DeviceIdentity, client_id: str, messages: Sequence[PublishedMessage]) -> None:
        """Run rules on messages that no living connection carries (wills, disconnects)."""

        async def run() -> None:
            with self.k.clock.working():
                try:
                    await self.gate.ingest(identity, client_id, messages)
                except IngestUnavailableError as failure:
                    self.k.log.warning("message lost to the rules", client=client_id, exc=failure)
                except Exception as failure:
                    self.k.log.warning("ingest failed", client=client_id, exc=failure)

        self.spawn(run())

    def _publish_will(self, will: PendingWill) -> None:
        message = will.message._replace(received_at=self.k.clock.now())
        if not self.gate.may_publish(will.identity, will.client_id, message.topic, retain=message.retain):
            self.k.log.info("will not authorised", client=will.client_id, topic=message.topic)
            return
        try:
            self.accept(will.identity.scope, message)
        except QuotaExceededError as reached:
            self.k.log.warning("will not retained", client=will.client_id, exc=reached)
        self.commit()
        self.ingest_later(will.identity, will.client_id, [message])

    def _tree(self, scope: Scope) -> FilterTree[Session]:
        tree = self._trees.get(scope)
        if tree is None:
            tree = self._trees[scope] = FilterTree()
        return tree

    def _is_expired(self, session: Session) -> bool:
        return session.expires_at is not None and session.expires_at <= self.k.clock.now()

    def _drop(self, session: Session) -> None:
        tree = self._tree(session.scope)
        for topic_filter in session.subscriptions:
            tree.remove(topic_filter, session)
        session.subscriptions.clear()
        self._sessions.pop((session.scope, session.client_id), None)
        if session.is_stored:
            self.store.delete_session(session.scope, session.client_id)
            session.is_stored = False

    # lakebed.ports.devices.Broker

    @property
    def address(self) -> BrokerAddress:
        return self.bound

    async def publish(
        self,
        scope: Scope,
        topic: str,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        properties: MessageProperties = NO_PROPERTIES,
    ) -> None:
        if (fault := limits.topic_fault(topic)) is not None:
            raise ValueError(fault)
        if len(payload) > limits.PAYLOAD_BYTES_MAX:
            raise ValueError(f"payload is larger than {limits.PAYLOAD_BYTES_MAX} bytes")
        if qos not in (0, 1):
            raise ValueError("QoS must be 0 or 1")
        message = PublishedMessage(topic, payload, qos, retain, self.k.clock.now(), properties)
        try:
            self.accept(scope, message)
        except QuotaExceededError as reached:
            raise ValueError(str(reached)) from None
        self.commit()

    def connect(self, identity: DeviceIdentity) -> asyncio.Protocol:
        assert self.connections_made is not None, "the door was not made"
        return self.connections_made(identity)

    def retained(self, scope: Scope, topic: str) -> RetainedMessage | None:
        found = self.store.retained(scope, topic)
        return found if found is not None and not self._is_stale(found) else None

    def retained_topics(self, scope: Scope, *, after: str = "", limit: int = 200) -> Sequence[RetainedMessage]:
        found: list[RetainedMessage] = []
        while len(found) < limit:
            page = self.store.retained_after(scope, after, limit)
            found += [kept for kept in page if not self._is_stale(kept)]
            if len(page) < limit:
                break
            after = page[-1].topic
        return found[:limit]

    def _is_stale(self, kept: RetainedMessage) -> bool:
        expiry = kept.properties.message_expiry
        return expiry is not None and kept.stored_at + expiry <= self.k.clock.now()

    def connections(self, scope: Scope | None = None) -> Sequence[ConnectionInfo]:
        return [live.info() for (where, _), live in self.live.items() if scope is None or where == scope]

    def client(self, scope: Scope, client_id: str) -> ClientInfo | None:
        session, live = self._sessions.get((scope, client_id)), self.live.get((scope, client_id))
        if session is None:
            return None
        known = ClientInfo(
            live is not None, not session.is_stored, "", ("", 0), ("", 0), 0, None, session.disconnected_at,
            session.ended_by, session.expiry_seconds,
            tuple((name, options.qos) for name, options in session.subscriptions.items()),
        )  # fmt: skip
        return live.told(known) if live is not None else known

    def disconnect(
        self, scope: Scope, client_id: str, *, clean_session: bool = False, prevent_will: bool = False
    ) -> bool:
        live = self.live.get((scope, client_id))
        if live is None:
            return False
        live.end(Reason.ADMINISTRATIVE_ACTION, "API_INITIATED_DISCONNECT", will=not prevent_will)
        if clean_session and (session := self._sessions.get((scope, client_id))) is not None:
            self._drop(session)
        return True

    def revoke(self, certificate_id: str) -> int:
        held = [live for live in self.live.values() if live.identity.certificate_id == certificate_id]
        for live in held:
            live.end(Reason.NOT_AUTHORIZED, "AUTH_ERROR")
        return len(held)
