"""Amazon Athena: SQL over objects, by workgroup, asynchronously, results in S3.

Statements are taken apart in ``lakebed.lake.statements``; queries run in the SQL engine (``ports.sql``), metadata lives in
Glue (``ports.catalog``), data and results in S3 (``ports.objects``), all with the caller's permissions.
https://docs.aws.amazon.com/athena/latest/ug/what-is.html, https://docs.aws.amazon.com/athena/latest/APIReference/

Refused by name: Spark sessions, federated catalogues, managed results, encryption beyond S3's own. See
docs/deviations/athena.md.
"""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.lake import location
from lakebed.ports.house import Ports
from lakebed.ports.service import Link, Service, operations_of
from lakebed.services.athena.advisor import CostAdvisor
from lakebed.services.athena.federation.opening import Opening
from lakebed.services.athena.federation.sources import Catalogs
from lakebed.services.athena.port import AthenaStatements
from lakebed.services.athena.pricing import price_usd
from lakebed.services.athena.provider.data_catalogs import DataCatalogOperations
from lakebed.services.athena.provider.executions import ExecutionOperations
from lakebed.services.athena.provider.metadata import MetadataOperations
from lakebed.services.athena.provider.reservations import ReservationOperations
from lakebed.services.athena.provider.saved import SavedOperations
from lakebed.services.athena.provider.workgroups import WorkgroupOperations, Workgroups
from lakebed.services.athena.settings import AthenaSettings
from lakebed.services.athena.store import Store
from lakebed.services.athena.work import Runner

__all__ = ["AthenaSettings", "price_usd", "service"]


def service(k: Kernel, p: Ports) -> Service:
    """Athena of a house."""
    k.db.migrate("athena", "lakebed.services.athena", k.clock)
    p.statements = AthenaStatements(k, p)
    settings = k.settings.section("services", "athena", AthenaSettings)
    store = Store(k.db)
    workgroups = Workgroups(k, store)
    catalogs = Catalogs(k, p, settings.federation_hosts)
    opening = Opening(k, p, store, catalogs)
    runners = [Runner(number, k, p, store, settings, opening) for number in range(settings.running_max)]
    names = [runner.name for runner in runners]

    def topology(scope: Scope) -> list[Link]:
        links = []
        for group in store.workgroups(scope, "", 1000):
            place = group["Configuration"].get("ResultConfiguration", {}).get("OutputLocation")
            if place:
                bucket = f"arn:{scope.partition}:s3:::{location.parse(place).bucket}"
                links.append(Link(scope.arn("athena", f"workgroup/{group['Name']}"), bucket, "results"))
        return links

    p.advice = CostAdvisor(k, p, store)
    providers = (
        ExecutionOperations(k, p, store, workgroups, names, settings.queued_max),
        ReservationOperations(k, store, workgroups),
        WorkgroupOperations(k, store, workgroups),
        SavedOperations(k, p, store, workgroups),
        MetadataOperations(p, opening),
        DataCatalogOperations(k, store, catalogs),
    )
    return Service("athena", operations_of(*providers, prefix="athena"), tasks=runners, topology=topology)
