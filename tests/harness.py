"""A house in a test's hand: kernel on a temporary directory with a manual clock, services added one by one, no sockets.

``Harness.call`` sends parameters through botocore's own serialiser, our parser and checks, the operation, our serialiser
and botocore's own parser, so that what a test sees is what boto3 would show (timestamps as epoch seconds). Errors are
raised as ``AwsError``.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.parsers
import botocore.serialize
import botocore.session
from botocore.awsrequest import HeadersDict, prepare_request_dict
from botocore.model import ServiceModel
from botocore.utils import parse_to_aware_datetime

from lakebed.edge.aws.errors import translated
from lakebed.kernel.blobs import Blobs
from lakebed.kernel.children import Children
from lakebed.kernel.clock import ManualClock
from lakebed.kernel.db import Database
from lakebed.kernel.disk import LocalDisk
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.ids import CountingIds
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.log import Log
from lakebed.kernel.meters import Meters
from lakebed.kernel.outbox import Outbox
from lakebed.kernel.runs import Runs
from lakebed.kernel.scope import Principal, Scope
from lakebed.kernel.segments import LogStore
from lakebed.kernel.settings import Settings
from lakebed.kernel.tasks import Tasks
from lakebed.ports.house import Ports
from lakebed.ports.identity import AccessKey, Credentials
from lakebed.ports.service import Context, Service
from lakebed.wire.aws.message import HttpRequest, HttpResponse

ACCOUNT, REGION = "000000000000", "us-east-1"
SCOPE = Scope(ACCOUNT, REGION)
ROOT = Principal(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "test")
ENDPOINT = "http://127.0.0.1:4566"


class OpenIdentity:
    """An identity that allows everything: for tests of services, not of permissions."""

    def access_key(self, access_key_id: str) -> AccessKey | None:
        return AccessKey(ROOT, "test") if access_key_id == "test" else None

    def authorise(self, principal: Principal, action: str, resource: str, **_: Any) -> None:
        return None

    def service_session(self, role_arn: str, service: str, *, session_name: str) -> Principal:
        account = role_arn.split(":")[4]
        name = role_arn.rsplit("/", 1)[1]
        return Principal(
            account, f"arn:aws:sts::{account}:assumed-role/{name}/{session_name}", "role", "AROA", identity_arn=role_arn
        )

    def check_pass_role(self, principal: Principal, role_arn: str, service: str) -> None:
        return None

    def role_credentials(self, role_arn: str, service: str, *, session_name: str, seconds: int) -> Credentials:
        return Credentials("ASIATEST", "secret", "token", 2e9)


def make_kernel(directory: Path, clock: ManualClock | None = None, *, power_safe: bool = False) -> Kernel:
    """A kernel on ``directory``; open it again on the same directory to play a restart."""
    clock = clock or ManualClock()
    ids = CountingIds()
    log = Log(clock, io.StringIO())
    disk = LocalDisk(power_safe=power_safe)
    db = Database(directory / "state.db", power_safe=power_safe)
    db.migrate("kernel", "lakebed.kernel", clock)
    tasks = Tasks(clock, log)
    return Kernel(
        settings=Settings(),
        data=directory,
        clock=clock,
        ids=ids,
        log=log,
        disk=disk,
        db=db,
        tasks=tasks,
        outbox=Outbox(db, clock, tasks, log),
        runs=Runs(db, clock, ids.uuid()),
        blobs=Blobs(directory / "objects", disk, ids),
        segments=LogStore(directory / "log", disk, clock),
        meters=Meters(clock),
        children=Children(directory / "children"),
    )


class Harness:
    """Add services (real ones or ports' fakes), ``start``, ``call``; ``clock.advance`` moves time."""

    def __init__(self, directory: Path, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.kernel = make_kernel(directory, self.clock)
        self.ports = Ports()
        self.ports.addresses.http_port = 4566
        self.ports.identity = OpenIdentity()
        self.services: dict[str, Service] = {}

    def add(self, *factories: Callable[[Kernel, Ports], Any]) -> None:
        """``lakebed.services.kinesis.service`` and the like; a factory may give one service or several."""
        for factory in factories:
            made = factory(self.kernel, self.ports)
            for service in made if isinstance(made, list | tuple) else [made]:
                self.services[service.name] = service
                for task in service.tasks:
                    self.kernel.tasks.add(task)

    async def start(self) -> None:
        """Run the services' start hooks and begin driving tasks."""
        for service in self.services.values():
            if service.start is not None:
                await service.start()
        self.kernel.tasks.start()

    async def stop(self) -> None:
        """Stop as a house stops."""
        await self.kernel.tasks.stop()
        for service in reversed(self.services.values()):
            if service.stop is not None:
                await service.stop()
        await self.kernel.children.stop_all()
        self.kernel.segments.close()
        self.kernel.db.close()

    def context(self, service: str, operation: str, principal: Principal = ROOT, scope: Scope = SCOPE) -> Context:
        """The context of one call."""
        return Context(
            scope=scope,
            principal=principal,
            request_id=self.kernel.ids.uuid(),
            now=self.kernel.clock.now(),
            service=service,
            operation=operation,
            endpoint=ENDPOINT,
        )

    async def call(
        self, service: str, operation: str, *, caller: Principal = ROOT, place: Scope = SCOPE, **params: Any
    ) -> dict[str, Any]:
        """One operation, through both botocore's codecs and ours; what boto3 would return or raise.

        ``caller`` and ``place`` are no input member of any operation (``principal`` and ``scope`` are).
        """
        model = _model(service)
        request = _request(model, operation, params)
        from lakebed.wire.aws.codec import codec

        wire = codec(service)
        match = wire.identify(request)
        assert match is not None, f"{service}:{operation} is not recognised"
        assert match.operation == operation, f"{operation} was taken for {match.operation}"
        try:
            parsed = wire.parse(match, request)
            wire.check(match.operation, parsed)
            built = self.services[service].operations[operation]
            for member in built.refused:
                if member in parsed:
                    raise not_built(service, operation, member)
            result = await built.handler(self.context(service, operation, caller, place), parsed)
        except AwsError as error:
            told = translated(error, service, match.protocol)
            _see(error, model, told, wire.serialise_error(match, told, "request-id"))
            raise
        return await _response(model, operation, wire.serialise(match, result or {}, "request-id"))


_models: dict[str, ServiceModel] = {}


def _model(service: str) -> ServiceModel:
    if service not in _models:
        _models[service] = botocore.session.get_session().get_service_model(service)
    return _models[service]


def _request(model: ServiceModel, operation: str, params: dict[str, Any]) -> HttpRequest:
    serializer = botocore.serialize.create_serializer(model.protocol, include_validation=False)
    made = serializer.serialize_to_request(params, model.operation_model(operation))
    prepare_request_dict(made, endpoint_url=ENDPOINT)
    _, _, behind_host = made["url"].partition("://")[2].partition("/")  # some services put the account before the host
    path, _, query = f"/{behind_host}".partition("?")
    body = made["body"]
    if isinstance(body, dict):
        from urllib.parse import urlencode

        body = urlencode(body)
        made["headers"]["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    headers = {key.lower(): value for key, value in made["headers"].items()}
    from lakebed.wire.aws.codec import codec

    streaming = codec(model.service_name).streaming_input(operation)  # botocore calls every blob body streaming

    async def stream() -> Any:
        yield body

    return HttpRequest(
        made["method"], path, query, headers, b"" if streaming else body or b"", stream() if streaming else None
    )


def _see(error: AwsError, model: ServiceModel, told: AwsError, response: HttpResponse) -> None:
    """Give the error the code and the status a client reads from the wire."""
    seen = {"status_code": response.status, "headers": HeadersDict(response.headers), "body": response.body}
    error.error_code, error.http_status = told.error_code, response.status
    if response.body:  # an answer to HEAD has none: a client sees the status alone
        parsed = botocore.parsers.ResponseParserFactory().create_parser(model.protocol).parse(seen, None)
        error.error_code = parsed["Error"]["Code"]


async def _response(model: ServiceModel, operation: str, response: HttpResponse) -> dict[str, Any]:
    body = response.body
    if not isinstance(body, bytes):
        body = b"".join([piece async for piece in body])
    operation_model = model.operation_model(operation)
    factory = botocore.parsers.ResponseParserFactory()
    factory.set_parser_defaults(timestamp_parser=lambda value: parse_to_aware_datetime(value).timestamp())
    parser = factory.create_parser(model.protocol)
    payload: Any = io.BytesIO(body) if operation_model.has_streaming_output else body
    parsed: dict[str, Any] = parser.parse(
        {"status_code": response.status, "headers": HeadersDict(response.headers), "body": payload},
        operation_model.output_shape,
    )
    parsed.pop("ResponseMetadata", None)
    return parsed
