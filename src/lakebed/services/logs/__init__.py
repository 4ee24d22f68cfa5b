"""Amazon CloudWatch Logs: groups, streams, events, filter patterns, retention, tags.

Follows https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/Welcome.html. ``journal`` is what happens,
``provider/`` the API over it, ``port`` where other services write. Events lie in SQLite, indexed by stream and by group.

Filters look at events as they are written (``filters``, ``subscription``).

Refused by name: encryption with KMS, other classes than STANDARD, linked accounts, transformed logs. Live tail and exports
are not built (see docs/deviations/logs.md).
"""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.service import Service, operations_of
from lakebed.services.logs.journal import Journal
from lakebed.services.logs.port import CloudWatchLogs
from lakebed.services.logs.provider.events import EventOperations
from lakebed.services.logs.provider.filters import FilterOperations, PolicyOperations
from lakebed.services.logs.provider.groups import GroupOperations
from lakebed.services.logs.provider.queries import QueryOperations
from lakebed.services.logs.provider.streams import StreamOperations
from lakebed.services.logs.queries import RUNNERS, Runner
from lakebed.services.logs.query_store import QueryStore
from lakebed.services.logs.subscription import Subscriptions
from lakebed.services.logs.work import Retention


def service(k: Kernel, p: Ports) -> Service:
    """Wire CloudWatch Logs; sets ``p.logs``."""
    k.db.migrate("logs", "lakebed.services.logs", k.clock)
    journal = Journal(k, p)
    p.logs = CloudWatchLogs(journal, p)
    filters = FilterOperations(journal, journal.filters, Subscriptions(k, p))
    queries = QueryStore(k.db)
    with k.db.tx() as tx:
        queries.release(tx)
    providers = (
        GroupOperations(journal), StreamOperations(journal), EventOperations(journal), filters, PolicyOperations(journal),
        QueryOperations(journal, p, queries),
    )  # fmt: skip
    runners = [Runner(number, journal, p, queries) for number in range(RUNNERS)]
    return Service("logs", operations_of(*providers, prefix="logs"), tasks=[Retention(journal), *runners])
