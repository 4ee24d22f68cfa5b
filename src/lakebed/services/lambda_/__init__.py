"""Lambda: functions that really run, called synchronously, asynchronously, and from queues and streams.

Follows the Lambda API of 2015-03-31 and the developer guide: zip packages of Python, node and custom runtimes, layers,
versions and aliases, resource policies, reserved and provisioned concurrency, asynchronous invocation with retries, dead
letters and destinations, function URLs, answers that stream, event source mappings on SQS and Kinesis. User code runs
behind ``lakebed.ports.runtime`` in processes of its own.

Refused by name: container images, networks and file systems, other languages, code signing, durable functions, tenants,
capacity providers. docs/deviations/lambda.md says what is taken and works otherwise.

https://docs.aws.amazon.com/lambda/latest/api/welcome.html
https://docs.aws.amazon.com/lambda/latest/dg/welcome.html
"""

from __future__ import annotations

from collections.abc import Sequence

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, Link, Service, operations_of
from lakebed.services.lambda_.code import CodeStore
from lakebed.services.lambda_.invoking import Invoker
from lakebed.services.lambda_.later import LaterQueue, LaterTask
from lakebed.services.lambda_.layer_store import LayerStore
from lakebed.services.lambda_.packages import Packages
from lakebed.services.lambda_.port import FunctionsPort
from lakebed.services.lambda_.provider.choices import ChoiceOperations
from lakebed.services.lambda_.provider.functions import FunctionOperations
from lakebed.services.lambda_.provider.invocations import InvocationOperations
from lakebed.services.lambda_.provider.layers import LayerOperations
from lakebed.services.lambda_.provider.limits import LimitOperations
from lakebed.services.lambda_.provider.mappings import MappingOperations, failure_links, links
from lakebed.services.lambda_.provider.permissions import PermissionOperations
from lakebed.services.lambda_.provider.provisioned import ProvisionedOperations
from lakebed.services.lambda_.provider.urls import UrlOperations
from lakebed.services.lambda_.provider.versions import VersionOperations
from lakebed.services.lambda_.queue_store import QueueStore
from lakebed.services.lambda_.serving import UrlServing
from lakebed.services.lambda_.sources.pollers import Pollers
from lakebed.services.lambda_.sources.store import MappingStore
from lakebed.services.lambda_.store import FunctionStore
from lakebed.services.lambda_.url_store import ProvisionedStore, UrlStore
from lakebed.services.lambda_.warming import Warming


def service(k: Kernel, p: Ports) -> Service:
    """Lambda of a house; needs ``p.runtime`` before the first call."""
    k.db.migrate("lambda", "lakebed.services.lambda_", k.clock)
    store, code = FunctionStore(k.db), CodeStore(k)
    code.sweep(store.all_code())
    invoker = Invoker(k, p, store, code)
    queue = LaterQueue(k, p, QueueStore(k.db), invoker.settings.later_max)
    later = LaterTask(k, p, invoker, queue)
    provisioned = ProvisionedStore(k.db)
    warming = Warming(k, p, invoker, provisioned)
    pollers = Pollers(k, p, invoker, MappingStore(k.db))
    layer_store = LayerStore(k.db)

    def room(ctx: Context) -> int:
        return invoker.settings.code_bytes_max - store.usage(ctx.scope)[1] - layer_store.usage(ctx.scope)

    packages = Packages(k, p, code, store.code_in_use, room)
    layer_operations = LayerOperations(k, p, layer_store, packages)
    url_store = UrlStore(k.db)
    p.functions = FunctionsPort(k, invoker, queue, UrlServing(k, p, invoker, url_store), packages)

    def topology(scope: Scope) -> Sequence[Link]:
        mapped = [Link(source, target, "event source mapping") for source, target in links(scope, pollers.store)]
        return [*mapped, *failure_links(scope, store, pollers.store)]

    async def stop() -> None:
        await pollers.stop()
        await later.stop()

    return Service(
        name="lambda",
        operations=operations_of(
            FunctionOperations(k, p, invoker, packages, layer_operations),
            layer_operations,
            UrlOperations(k, invoker, url_store),
            VersionOperations(k, store),
            ProvisionedOperations(k, invoker, provisioned),
            ChoiceOperations(k, store),
            PermissionOperations(k, store),
            InvocationOperations(invoker, queue),
            LimitOperations(k, invoker, pollers.store),
            MappingOperations(k, p, invoker, pollers),
            prefix="lambda",
        ),
        tasks=[later, warming],
        topology=topology,
        start=pollers.start,
        stop=stop,
    )
