"""AWS Glue Data Catalog: databases, tables with their versions, partitions with the expression language,
user-defined functions, column statistics, tags; the Schema Registry; crawlers, classifiers, connections (``crawlers/``).

Follows https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog.html. ``catalogue`` is what happens, ``provider/``
the API over it, ``port`` the same for Athena and Firehose; ``predicate`` reads partition expressions, ``pattern`` the name
patterns of GetTables.

Refused by name: resource links, federated databases, multi-dialect views, table creation from an open table format's
metadata, partition indexes (every table has one already). Jobs are not built
(see docs/deviations/glue.md).
"""

from __future__ import annotations

from collections.abc import Mapping

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.kernel.tasks import Task
from lakebed.ports.house import Ports
from lakebed.ports.service import Service, operations_of
from lakebed.services.glue.catalogue import Catalogue
from lakebed.services.glue.crawlers.checks import Checks
from lakebed.services.glue.crawlers.desk import CRAWL_TASKS, Crawlers
from lakebed.services.glue.crawlers.vaulted import Connections
from lakebed.services.glue.crawlers.work import Runner, Schedules
from lakebed.services.glue.iceberg_rest import IcebergRest
from lakebed.services.glue.port import GlueCatalog
from lakebed.services.glue.provider.classifiers import ClassifierOperations
from lakebed.services.glue.provider.connections import ConnectionOperations
from lakebed.services.glue.provider.crawler_schedules import CrawlerScheduleOperations
from lakebed.services.glue.provider.crawlers import CrawlerOperations
from lakebed.services.glue.provider.databases import DatabaseOperations
from lakebed.services.glue.provider.desk import Desk
from lakebed.services.glue.provider.functions import FunctionOperations
from lakebed.services.glue.provider.partitions import PartitionOperations
from lakebed.services.glue.provider.registries import RegistryOperations
from lakebed.services.glue.provider.schema_versions import SchemaVersionOperations
from lakebed.services.glue.provider.search import SearchOperations
from lakebed.services.glue.provider.statistics import StatisticsOperations
from lakebed.services.glue.provider.statistics_runs import StatisticsRunOperations
from lakebed.services.glue.provider.tables import TableOperations
from lakebed.services.glue.provider.tags import Found, TagOperations
from lakebed.services.glue.schemas.shelf import Shelf
from lakebed.services.glue.schemas.store import SchemaStore
from lakebed.services.glue.settings import GlueSettings
from lakebed.services.glue.statistics.runs import Counting, Statistics
from lakebed.services.glue.statistics.schedule import Scheduled
from lakebed.services.glue.work import Discard


def service(k: Kernel, p: Ports) -> Service:
    """Wire the catalog; sets ``p.catalog``."""
    k.db.migrate("glue", "lakebed.services.glue", k.clock)
    k.settings.section("services", "glue", GlueSettings)  # a mistake in it is told at the start
    catalogue = Catalogue(k)
    shelf = Shelf(k, SchemaStore(k.db))
    statistics = Statistics(k, p, catalogue)
    p.catalog = GlueCatalog(catalogue, p)
    crawlers, connections, tags = Crawlers(k), Connections(k), catalogue.databases
    checks = Checks(p, catalogue, crawlers, connections)
    runners = [Runner(number, crawlers, catalogue, p, connections) for number in range(len(CRAWL_TASKS))]
    providers = (
        DatabaseOperations(catalogue),
        TableOperations(catalogue),
        PartitionOperations(catalogue),
        FunctionOperations(catalogue),
        StatisticsOperations(statistics),
        StatisticsRunOperations(statistics),
        SearchOperations(catalogue, p),
        RegistryOperations(shelf, catalogue.databases),
        SchemaVersionOperations(shelf),
        CrawlerOperations(crawlers, checks, Desk(catalogue), tags),
        CrawlerScheduleOperations(crawlers),
        ClassifierOperations(crawlers),
        ConnectionOperations(connections, Desk(catalogue), tags),
        TagOperations(k, catalogue.databases, _tagged(catalogue, shelf, crawlers, connections)),
    )
    tasks: list[Task] = [Discard(catalogue), Schedules(crawlers), *runners, Counting(statistics), Scheduled(statistics)]
    door = IcebergRest(k, p, catalogue)
    return Service("glue", operations_of(*providers, prefix="glue"), tasks=tasks, door=door)


def _tagged(catalogue: Catalogue, shelf: Shelf, crawlers: Crawlers, connections: Connections) -> Mapping[str, Found]:
    """What takes tags, and how it is found."""

    def schema(scope: Scope, name: str) -> str:
        return shelf.schema(scope, {"SchemaArn": scope.arn("glue", f"schema/{name}")}).arn

    return {
        "database": lambda scope, name: scope.arn("glue", f"database/{catalogue.database(scope, name).name}"),
        "connection": lambda scope, name: connections.require(scope, name).arn,
        "crawler": lambda scope, name: crawlers.require(scope, name).arn,
        "registry": lambda scope, name: shelf.registry(scope, {"RegistryName": name}).arn,
        "schema": schema,
    }
