"""Invocation: which version runs, whether the caller may, with whose credentials, and where its log goes.

Every way to run a function ends here: the Invoke operation, other services through the port, asynchronous invocations,
event source mappings. Concurrency is counted here per function and account as AWS does (a reserved limit throttles at
once); waiting for a free worker process is the runtime's business.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lakebed.api.lambda_ import RecursiveInvocationException, TooManyRequestsException
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.ports.identity import Credentials
from lakebed.ports.runtime import Circumstances, Execution, FunctionSpec, ResponseSink
from lakebed.services.lambda_ import environment, recursion
from lakebed.services.lambda_.code import CodeStore
from lakebed.services.lambda_.model import FunctionVersion
from lakebed.services.lambda_.names import LATEST, Reference, function_arn, not_found
from lakebed.services.lambda_.settings import LambdaSettings
from lakebed.services.lambda_.store import FunctionRow, FunctionStore

SERVICE = "lambda.amazonaws.com"
_CREDENTIALS_SECONDS = 43_200
_CREDENTIALS_LEFT_MIN = 23_000.0  # more than the age at which the runtime replaces a worker
_CREDENTIALS_KEPT = 1000
_DOOR_LOOKS, _DOOR_LOOK_SECONDS = 200, 0.05


@dataclass(frozen=True, slots=True)
class Event:
    """What a function is called with."""

    payload: bytes
    request_id: str
    client_context: Mapping[str, Any] | None = None
    records: int = 1
    trace: str = ""
    sink: ResponseSink | None = None


class Invoker:
    """Runs functions."""

    def __init__(self, kernel: Kernel, ports: Ports, store: FunctionStore, code: CodeStore) -> None:
        self.k, self.p, self.store, self.code = kernel, ports, store, code
        self.settings = kernel.settings.section("services", "lambda", LambdaSettings)
        self._running: Counter[tuple[str, str, str]] = Counter()
        self.spills: Callable[[Reference], bool] = lambda _: False  # whether provisioned concurrency is set there
        self._credentials: OrderedDict[tuple[str, str], Credentials] = OrderedDict()

    def resolve(self, named: Reference) -> FunctionVersion:
        """The version that runs this time; a weighted alias draws. ResourceNotFoundException."""
        version = named.qualifier or LATEST
        if version != LATEST and not version.isdigit():
            alias = self.store.alias(named.scope, named.name, version)
            if alias is None:
                raise not_found(named.arn)
            version = alias.version
            drawn = self.k.ids.uniform() if alias.weights else 1.0
            for other, weight in alias.weights.items():
                if drawn < weight:
                    version = other
                drawn -= weight
        found = self.store.version(named.scope, named.name, version)
        if found is None:
            raise not_found(named.arn)
        return found

    def resolve_main(self, named: Reference) -> FunctionVersion:
        """The version a number or an alias stands for, without drawing."""
        alias = self.store.alias(named.scope, named.name, named.qualifier or "")
        found = self.store.version(named.scope, named.name, alias.version if alias else named.qualifier or LATEST)
        if found is None:
            raise not_found(named.arn)
        return found

    def authorise(
        self,
        principal: Principal,
        named: Reference,
        *,
        source_arn: str | None = None,
        source_account: str | None = None,
    ) -> None:
        """lambda:InvokeFunction by identity policy or the policy of the function, version or alias."""
        conditions = {"lambda:FunctionArn": named.arn}
        if source_arn is not None:
            conditions["aws:SourceArn"] = source_arn
            conditions["aws:SourceAccount"] = source_account or _account_of(source_arn) or principal.account
        policy = self.store.policy(named.scope, named.name, named.qualifier)
        self.p.identity.authorise(
            principal,
            "lambda:InvokeFunction",
            named.arn,
            conditions=conditions,
            resource_policy=policy.text() if policy else None,
            resource_account=named.scope.account,
        )

    async def run(self, named: Reference, version: FunctionVersion, event: Event, wait: float = 0.0) -> Execution:
        """One execution, its log written, its meters counted. ``wait``: seconds for a free worker beyond the default."""
        scope, key = named.scope, (named.scope.account, named.scope.region, version.name)
        arn = function_arn(scope, version.name)
        await self._doors_open()
        row = self.store.function(scope, version.name)
        trace, entries = recursion.entered(event.trace, arn, self.k.ids.uuid().replace("-", ""))
        if entries > recursion.ENTRIES_MAX and row is not None and row.recursive_loop == "Terminate":
            self._count(scope, version.name, ("RecursiveInvocationsDropped", 1.0))
            raise RecursiveInvocationException(
                "Lambda detected a recursive loop and stopped it.", members={"Type": "User"}
            )
        reserved = self._admit(scope, version.name, row)
        self._running[key] += 1
        try:
            self._count(scope, version.name, ("ConcurrentExecutions", float(self._running[key])))
            with self.k.clock.working():
                execution = await self.p.runtime.execute(
                    await self.spec(scope, version),
                    event.payload,
                    request_id=event.request_id,
                    credentials=self.credentials(version),
                    concurrency=reserved if reserved is not None else self.settings.concurrent_executions,
                    deadline=self.k.clock.monotonic() + self.settings.wait_seconds + wait,
                    circumstances=Circumstances(named.arn, event.client_context, trace, event.sink),
                )
        finally:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]
        self.k.meters.into(arn, event.records, len(event.payload))
        if execution.error:
            self.k.meters.error(arn)
        else:
            self.k.meters.out(arn, 1, len(execution.payload))
        self._publish(named, version.name, execution)
        self._write_log(scope, version, execution)
        return execution

    def _publish(self, named: Reference, name: str, execution: Execution) -> None:
        """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"""
        failed = 1.0 if execution.error else 0.0
        for of in self._dimensions(named, name):
            duration = "Duration", of, execution.duration_ms, "Milliseconds"
            points = [("Invocations", of, 1.0, "Count"), ("Errors", of, failed, "Count"), duration]
            if execution.provisioned:
                points.append(("ProvisionedConcurrencyInvocations", of, 1.0, "Count"))
            elif self.spills(named):
                points.append(("ProvisionedConcurrencySpilloverInvocations", of, 1.0, "Count"))
            self.p.metrics.put(named.scope, "AWS/Lambda", points)

    def _dimensions(self, named: Reference, name: str) -> list[dict[str, str]]:
        """By function, and by the version or alias that was called."""
        whole = {"FunctionName": name}
        return [whole, {**whole, "Resource": f"{name}:{named.qualifier}"}] if named.qualifier else [whole]

    def _count(self, scope: Scope, name: str, point: tuple[str, float]) -> None:
        self.p.metrics.put(scope, "AWS/Lambda", [(point[0], {"FunctionName": name}, point[1], "Count")])

    def role_session(self, version: FunctionVersion, session_name: str) -> Principal:
        """The function's role, for what Lambda itself does in its name (polling, dead letters)."""
        return self.p.identity.service_session(version.role, SERVICE, session_name=session_name)

    def running(self, scope: Scope, name: str) -> int:
        """Executions of a function at this moment."""
        return self._running[scope.account, scope.region, name]

    async def retire(self, scope: Scope, version: FunctionVersion) -> None:
        """Its warm workers are out of date."""
        await self.p.runtime.retire(_key(scope, version))

    async def _doors_open(self) -> None:
        """At boot, background work may come before the house listens: a function must not be told an endpoint that is not."""
        for _ in range(_DOOR_LOOKS):
            if self.p.addresses.http_port:
                return
            await self.k.clock.sleep_until(self.k.clock.now() + _DOOR_LOOK_SECONDS)

    def _admit(self, scope: Scope, name: str, row: FunctionRow | None) -> int | None:
        reserved = row.reserved_concurrency if row else None
        if reserved is not None and self.running(scope, name) >= reserved:
            self._count(scope, name, ("Throttles", 1.0))
            raise _throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
        total = sum(
            n for (account, region, _), n in self._running.items() if (account, region) == (scope.account, scope.region)
        )
        if total >= self.settings.concurrent_executions:
            self._count(scope, name, ("Throttles", 1.0))
            raise _throttled("ConcurrentInvocationLimitExceeded")
        return reserved

    async def spec(self, scope: Scope, version: FunctionVersion) -> FunctionSpec:
        """The version as the runtime takes it."""
        role = self.role_session(version, version.name) if version.sealed else None
        layers = [layer.code_hex for layer in version.layers]
        return FunctionSpec(
            key=_key(scope, version),
            code=(await self.code.folder(version.code_hex)).resolve(),
            handler=version.handler,
            runtime=version.runtime,
            environment=environment.opened(self.p, role, scope, version) if role else version.environment,
            memory_mb=version.memory,
            timeout_seconds=float(version.timeout),
            arn=function_arn(scope, version.name),
            name=version.name,
            version=version.version,
            log_group=version.group,
            layers=(await self.code.merged(layers)).resolve() if layers else None,
            ephemeral_mb=version.ephemeral,
            json_log=version.log_json,
            log_level=version.application_level,
            system_level=version.system_level,
        )

    def credentials(self, version: FunctionVersion) -> dict[str, str]:
        """The call's credentials, kept until they are about to be older than a worker may get."""
        try:
            # The role is there and still trusts Lambda; its id tells a role from an earlier one of the same name.
            key = (f"{version.role}/{version.name}", self.role_session(version, version.name).user_id)
            fresh = self._credentials.get(key)
            if fresh is None or fresh.expires_at - self.k.clock.now() < _CREDENTIALS_LEFT_MIN:
                fresh = self.p.identity.role_credentials(
                    version.role, SERVICE, session_name=version.name, seconds=_CREDENTIALS_SECONDS
                )
        except AwsError as failure:
            raise AwsError(
                "AccessDeniedException", "The role defined for the function cannot be assumed by Lambda.", status=403
            ) from failure
        self._credentials[key] = fresh
        if len(self._credentials) > _CREDENTIALS_KEPT:
            self._credentials.popitem(last=False)
        return {
            "AWS_ACCESS_KEY_ID": fresh.access_key_id,
            "AWS_SECRET_ACCESS_KEY": fresh.secret_access_key,
            "AWS_SESSION_TOKEN": fresh.session_token,
        }

    def _write_log(self, scope: Scope, version: FunctionVersion, execution: Execution) -> None:
        now = self.k.clock.now()
        lines = [(now, line) for line in execution.log.splitlines() if line]
        self.p.logs.write(scope, version.group, execution.log_stream, lines)


def _key(scope: Scope, version: FunctionVersion) -> str:
    return f"{function_arn(scope, version.name, version.version)}/{version.revision}"


def _account_of(arn: str) -> str | None:
    parts = arn.split(":")
    return parts[4] if len(parts) > 4 and parts[4] else None


def _throttled(reason: str) -> TooManyRequestsException:
    return TooManyRequestsException("Rate Exceeded.", members={"Reason": reason, "Type": "User"})
