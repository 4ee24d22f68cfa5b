"""AWS IoT logs: what devices and rules did, as JSON lines in the log group ``AWSIotLogsV2``.

https://docs.aws.amazon.com/iot/latest/developerguide/cloud-watch-logs.html. Nothing is written before logging options were
set; the role they name must be allowed to write. Written at INFO: Connect, Subscribe, Publish-In, Publish-Out; at ERROR:
the same where they were refused, and RuleExecution for an action that failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports

GROUP = "AWSIotLogsV2"
LEVELS = ("DISABLED", "ERROR", "WARN", "INFO", "DEBUG")
_SERVICE = "iot.amazonaws.com"


class Options(NamedTuple):
    """The options of an account and region."""

    role_arn: str
    level: str
    is_disabled: bool


class LoggingStore:
    """The one row of each account and region."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def options(self, scope: Scope) -> Options | None:
        """What was set; None where nothing was."""
        row = self.db.one("SELECT * FROM iot_logging WHERE account=? AND region=?", (scope.account, scope.region))
        return None if row is None else Options(row["role_arn"], row["level"], bool(row["is_disabled"]))

    def put(self, tx: Tx, scope: Scope, options: Options) -> None:
        """Set."""
        tx.execute(
            "INSERT OR REPLACE INTO iot_logging VALUES (?,?,?,?,?)",
            (scope.account, scope.region, options.role_arn, options.level, int(options.is_disabled)),
        )


class EventLog:
    """Writes lines where an account asked for them; ``changed`` when it did."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p, self._store = k, p, LoggingStore(k.db)
        self._levels: dict[Scope, int] = {}

    def changed(self, scope: Scope) -> None:
        """The options are other ones now."""
        self._levels.pop(scope, None)

    def listens(self, scope: Scope, level: str) -> bool:
        """Whether events of a level are wanted."""
        wanted = self._levels.get(scope)
        if wanted is None:
            wanted = self._levels[scope] = self._wanted(scope)
        return LEVELS.index(level) <= wanted

    def note(self, scope: Scope, level: str, event: str, status: str, facts: Mapping[str, Any]) -> None:
        """One event, where its level is wanted."""
        if not self.listens(scope, level):
            return
        now = self._k.clock.now()
        line = {
            "timestamp": now,
            "logLevel": level,
            "traceId": self._k.ids.uuid(),
            "accountId": scope.account,
            "status": status,
            "eventType": event,
            **facts,
        }
        self._p.logs.write(scope, GROUP, f"{scope.account}_{scope.region}", [(now, msgspec.json.encode(line).decode())])

    def _wanted(self, scope: Scope) -> int:
        options = self._store.options(scope)
        if options is None or options.is_disabled or not options.role_arn:
            return 0
        try:
            writer = self._p.identity.service_session(options.role_arn, _SERVICE, session_name="iot-logs")
            arn = scope.arn("logs", f"log-group:{GROUP}:*")
            self._p.identity.authorise(writer, "logs:PutLogEvents", arn)
        except AwsError as refused:
            self._k.log.warning("iot logs refused", role=options.role_arn, detail=refused.message)
            return 0
        return LEVELS.index(options.level)
