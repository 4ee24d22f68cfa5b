"""Logs of Lambda functions, Firehose and IoT rules. Implements ports.logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lakebed.api import logs as api
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.services.logs.filter_store import PolicyStore
from lakebed.services.logs.journal import Journal
from lakebed.services.logs.model import EVENT_BYTES_MAX, Group, Stream

_POLICIES_MAX = 100


class CloudWatchLogs:
    """Implements ``lakebed.ports.logs.Logs``."""

    def __init__(self, journal: Journal, p: Ports) -> None:
        self._journal, self._p = journal, p
        self._policies = PolicyStore(journal.k.db)

    def write(self, scope: Scope, group: str, stream: str, events: Sequence[tuple[float, str]]) -> None:
        """See the port. A message beyond the size of an event is cut."""
        if not events:
            return
        with self._journal.k.db.tx():
            home = self._group(scope, group)
            kept = [(int(at * 1000), _cut(message) or " ") for at, message in events]
            self._journal.append(home, self._stream(home, stream), kept)

    def deliver(
        self, principal: Principal, scope: Scope, group: str, stream: str, events: Sequence[tuple[float, str]],
        *, source_arn: str | None = None,
    ) -> None:  # fmt: skip
        """See the port."""
        found = self._journal.groups.find(scope, group)
        arn = scope.arn("logs", f"log-group:{group}:log-stream:{stream}")
        conditions = {"aws:SourceArn": source_arn, "aws:SourceAccount": principal.account} if source_arn else {}
        policy = self._policy(scope)
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            self._p.identity.authorise(
                principal, action, arn, conditions=conditions, resource_policy=policy, resource_account=scope.account
            )
        if found is None:
            raise api.ResourceNotFoundException("The specified log group does not exist.")
        self.write(scope, group, stream, events)

    def _policy(self, scope: Scope) -> str:
        """The statements of all resource policies of the account."""
        statements: list[Any] = []
        for _, document, _ in self._policies.after(scope, "", _POLICIES_MAX):
            own = msgspec.json.decode(document)["Statement"]
            statements += own if isinstance(own, list) else [own]
        return msgspec.json.encode({"Version": "2012-10-17", "Statement": statements}).decode()

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
