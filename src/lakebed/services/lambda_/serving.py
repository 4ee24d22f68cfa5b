"""A request at a function URL: permission, CORS, the function, its answer.

A function that fails is 502 to the caller, one that is throttled 429; neither tells what went wrong inside, which the
function's log does. The URL's own policy decision is ``lambda:InvokeFunctionUrl``: with AuthType NONE anybody whom the
resource policy of the function allows, with AWS_IAM the caller that signed.

https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.ports.functions import UrlAnswer, UrlRequest, UrlTarget
from lakebed.ports.house import Ports
from lakebed.ports.runtime import Execution, ResponseSink
from lakebed.services.lambda_ import urls
from lakebed.services.lambda_.invoking import Event, Invoker
from lakebed.services.lambda_.names import Reference, function_arn
from lakebed.services.lambda_.streaming import DEFAULT_TYPE, Stream
from lakebed.services.lambda_.url_store import UrlStore
from lakebed.services.lambda_.urls import UrlConfig

_FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)


class UrlServing:
    """What stands behind the door's function URLs."""

    def __init__(self, kernel: Kernel, ports: Ports, invoker: Invoker, store: UrlStore) -> None:
        self.k, self.p, self.invoker, self.store = kernel, ports, invoker, store

    def target(self, host: str, raw_path: str) -> UrlTarget | None:
        """See the port."""
        found = urls.target_of(host, raw_path)
        if found is None:
            return None
        known = self.store.find(found[0])
        return UrlTarget(found[0], found[1], known is not None and known[1].auth == "AWS_IAM")

    async def serve(self, target: UrlTarget, request: UrlRequest) -> UrlAnswer:
        """See the port."""
        known = self.store.find(target.id)
        if known is None:
            return urls.refusal(403, "AccessDeniedException", "Forbidden")
        named, config = known
        started = self.k.clock.monotonic()
        answer = await self._answer(named, config, request)
        if config.cors is not None:
            added = urls.cors_headers(config.cors, request, preflight=False)
            if request.method != "OPTIONS":
                kept = (
                    [one for one in answer.headers if not one[0].startswith("access-control-")]
                    if added
                    else list(answer.headers)
                )
                answer = replace(answer, headers=[*kept, *added])
        self._count(named, answer.status, self.k.clock.monotonic() - started)
        scope = named.scope
        facts = {
            "account": scope.account,
            "region": scope.region,
            "arn": function_arn(scope, named.name, named.qualifier),
        }
        return replace(answer, facts=facts)

    async def _answer(self, named: Reference, config: UrlConfig, request: UrlRequest) -> UrlAnswer:
        if (
            config.cors is not None
            and request.method == "OPTIONS"
            and "access-control-request-method" in request.headers
        ):
            return UrlAnswer(200, urls.cors_headers(config.cors, request, preflight=True))
        try:
            self._authorise(named, config, request)
        except AwsError:
            return urls.refusal(403, "AccessDeniedException", _FORBIDDEN)
        payload = json.dumps(urls.event(request, named.scope, config, self.k.clock.now())).encode()
        event = Event(payload, request.request_id, trace=request.headers.get("x-amzn-trace-id", ""))
        try:
            version = self.invoker.resolve(named)
            if config.mode == "RESPONSE_STREAM":
                return await self._streamed(named, event)
            came = await self.invoker.run(named, version, event)
        except AwsError as failure:
            return _failed(failure)
        return urls.bad_gateway() if came.error else urls.answer(came.payload)

    async def _streamed(self, named: Reference, event: Event) -> UrlAnswer:
        stream = Stream()

        async def run(sink: ResponseSink) -> Execution:
            return await self.invoker.run(named, self.invoker.resolve(named), replace(event, sink=sink))

        await stream.open(run)
        if stream.execution is not None and stream.execution.error and not stream.execution.streamed:
            return urls.bad_gateway()
        pieces = stream.pieces()
        if stream.content_type != urls.INTEGRATION:
            kind = stream.content_type or DEFAULT_TYPE
            return UrlAnswer(200, [("content-type", kind)], pieces)
        head, rest = b"", b""
        async for piece in pieces:
            head += piece
            if (found := urls.split_prelude(head)) is not None:
                head, rest = found
                break
        try:
            told = urls.prelude(json.loads(head))
        except ValueError:
            told = None
        if told is None:
            return urls.bad_gateway()
        return UrlAnswer(told[0], told[1], _rest(rest, pieces))

    def _authorise(self, named: Reference, config: UrlConfig, request: UrlRequest) -> None:
        policy = self.invoker.store.policy(named.scope, named.name, named.qualifier)
        self.p.identity.authorise(
            request.principal,
            "lambda:InvokeFunctionUrl",
            named.arn,
            conditions={"lambda:FunctionUrlAuthType": config.auth, "lambda:FunctionArn": named.arn},
            resource_policy=policy.text() if policy else None,
            resource_account=named.scope.account,
        )

    def _count(self, named: Reference, status: int, seconds: float) -> None:
        """https://docs.aws.amazon.com/lambda/latest/dg/urls-monitoring.html"""
        of = {"FunctionName": named.name}
        points = [("UrlRequestCount", of, 1.0, "Count"), ("UrlRequestLatency", of, seconds * 1000, "Milliseconds")]
        if status >= 400:
            points.append((f"Url{status // 100}xxCount", of, 1.0, "Count"))
        self.p.metrics.put(named.scope, "AWS/Lambda", points)


async def _rest(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in pieces:
        yield piece


def _failed(failure: AwsError) -> UrlAnswer:
    if failure.error_code == "TooManyRequestsException":
        return urls.refusal(429, "TooManyRequestsException", "Rate Exceeded.")
    return urls.bad_gateway()
