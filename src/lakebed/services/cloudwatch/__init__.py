"""Amazon CloudWatch: metrics, metric math, alarms, dashboards.

Follows https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/Welcome.html. ``model`` and ``aggregate`` say what
is kept of a value, ``reading`` folds it into periods, ``mathematics`` computes over it, ``evaluation`` looks at alarms on the
clock, ``vended`` turns what flowed through the house into AWS's own metrics, ``port`` is where other services publish.

Refused by name: trimmed statistics, SEARCH, Metrics Insights, most functions of metric math, anomaly detection,
suppressors of composite alarms, metric streams, other accounts' metrics (see docs/deviations/cloudwatch.md).
"""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.tasks import Task
from lakebed.ports.house import Ports
from lakebed.ports.service import Service, operations_of
from lakebed.services.cloudwatch.evaluation import Evaluator
from lakebed.services.cloudwatch.port import Publisher
from lakebed.services.cloudwatch.provider.alarms import AlarmOperations
from lakebed.services.cloudwatch.provider.composites import CompositeOperations
from lakebed.services.cloudwatch.provider.dashboards import DashboardOperations
from lakebed.services.cloudwatch.provider.data import DataOperations
from lakebed.services.cloudwatch.provider.metrics import MetricOperations
from lakebed.services.cloudwatch.provider.tags import TagOperations
from lakebed.services.cloudwatch.reading import Ledger
from lakebed.services.cloudwatch.vended import Vended
from lakebed.services.cloudwatch.work import Ageing


def service(k: Kernel, p: Ports) -> Service:
    """Wire CloudWatch; sets ``p.metrics``."""
    k.db.migrate("cloudwatch", "lakebed.services.cloudwatch", k.clock)
    ledger = Ledger(k)
    publisher = p.metrics = Publisher(ledger)
    evaluator = publisher.evaluator = Evaluator(ledger, p)
    others = AlarmOperations(evaluator)
    providers = (
        MetricOperations(ledger), DataOperations(ledger), others, DashboardOperations(k),
        TagOperations(k), CompositeOperations(others),
    )  # fmt: skip
    tasks: list[Task] = [publisher, Ageing(ledger), evaluator, Vended(k, publisher)]
    return Service("cloudwatch", operations_of(*providers, prefix="cloudwatch"), tasks=tasks, stop=publisher.stop)
