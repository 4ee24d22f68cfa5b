"""Amazon SNS: topics that fan messages out to queues, functions and delivery streams, filtered, at least once.

Follows https://docs.aws.amazon.com/sns/latest/api/welcome.html and the Developer Guide. ``publishing`` writes a message and
a row for each subscription whose filter (``filters``) lets it pass, in one transaction; ``work`` carries them to their
endpoints in the form ``envelope`` gives them; ``provider/`` is the API, ``port`` the same for other services.

Messages of a topic with a KMS key are sealed while they wait (``sealing``); delivery status goes to CloudWatch Logs
(``feedback``).

HTTP and HTTPS endpoints confirm themselves, and are reached by ``outside`` under their delivery policies (``policies``).

Refused by name: e-mail, SMS, mobile push, archives and replay, data protection
policies (see docs/deviations/sns.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Link, Service, operations_of
from lakebed.services.sns.envelope import Envelope
from lakebed.services.sns.outside import Outside
from lakebed.services.sns.port import SnsTopics
from lakebed.services.sns.provider.permissions import PermissionOperations
from lakebed.services.sns.provider.publications import PublicationOperations
from lakebed.services.sns.provider.subscriptions import SubscriptionOperations
from lakebed.services.sns.provider.topics import TopicOperations
from lakebed.services.sns.publishing import Publisher
from lakebed.services.sns.settings import SnsSettings
from lakebed.services.sns.signer import Signer
from lakebed.services.sns.work import Delivery, OutsideDelivery

_TOPOLOGY_LINKS_MAX = 1000


def service(k: Kernel, p: Ports) -> Service:
    """Wire SNS; sets ``p.topics``, needs ``p.queues``, ``p.functions`` and ``p.delivery`` when it delivers."""
    k.db.migrate("sns", "lakebed.services.sns", k.clock)
    outside = Outside(k, k.settings.section("services", "sns", SnsSettings))
    publisher, signer = Publisher(k, p), Signer(k)
    envelope = Envelope(signer.sign, lambda: p.addresses.http_url)
    p.topics = SnsTopics(publisher, signer)

    def topology(scope: Scope) -> Sequence[Link]:
        found = publisher.subscriptions.after(scope, ("", ""), _TOPOLOGY_LINKS_MAX)
        links = [Link(one.topic_arn, one.endpoint.partition("?")[0], one.protocol) for one in found if not one.token]
        return links + [Link(one.topic_arn, one.dead_letters, "dead letters") for one in found if one.dead_letters]

    providers = (
        TopicOperations(publisher), SubscriptionOperations(publisher), PublicationOperations(publisher),
        PermissionOperations(publisher),
    )  # fmt: skip
    return Service(
        "sns",
        operations_of(*providers, prefix="sns"),
        tasks=[kind(publisher, signer, envelope, outside) for kind in (Delivery, OutsideDelivery)],
        topology=topology,
    )
