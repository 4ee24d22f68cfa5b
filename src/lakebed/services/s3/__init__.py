"""Amazon S3: buckets, objects with versions, multipart uploads, policies and event notifications.

Follows the user guide (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html) and the API reference
(https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html). Bodies are opaque blobs of the kernel, named by rows; a key
is only ever bytes in a row. A PUT is acknowledged once its blob has its final name and its row is committed together with
its events; an overwritten blob goes after that commit, and readers that opened it read on.

  provider/   operations by resource          access.py    permission with bucket policy and public access block
  model/      pure rules                      writing.py   the life of versions, and the events of it
  store/      the only SQL                    reading.py   versions and their bytes
  port.py     S3 for other services           work.py      delivery of events to queues and functions
  removal.py  files of what is gone               expiry.py    lifecycle rules, applied

Refused and why: docs/deviations/s3.md. ``service`` needs ``p.identity`` for every call, ``p.queues`` and ``p.functions``
where notifications name them.
"""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Link, Service, operations_of
from lakebed.services.s3.access import Access
from lakebed.services.s3.expiry import Expiry
from lakebed.services.s3.model import notifications
from lakebed.services.s3.port import S3Objects
from lakebed.services.s3.provider.buckets import BucketOperations
from lakebed.services.s3.provider.configuration import ConfigurationOperations
from lakebed.services.s3.provider.copying import CopyOperations
from lakebed.services.s3.provider.lifecycle import LifecycleOperations
from lakebed.services.s3.provider.listing import ListOperations
from lakebed.services.s3.provider.multipart import MultipartOperations
from lakebed.services.s3.provider.notifications import NotificationOperations
from lakebed.services.s3.provider.objects import ObjectOperations
from lakebed.services.s3.provider.policies import PolicyOperations
from lakebed.services.s3.provider.tagging import TagOperations
from lakebed.services.s3.reading import Reading
from lakebed.services.s3.removal import Removal
from lakebed.services.s3.settings import S3Settings
from lakebed.services.s3.store.buckets import Buckets
from lakebed.services.s3.store.objects import ObjectRows
from lakebed.services.s3.store.uploads import UploadRows
from lakebed.services.s3.work import EventDelivery
from lakebed.services.s3.writing import TOPIC, Writing


def service(k: Kernel, p: Ports) -> Service:
    """Build S3 on a kernel and set ``p.objects``."""
    k.db.migrate("s3", "lakebed.services.s3", k.clock)
    settings = k.settings.section("services", "s3", S3Settings)
    buckets, objects, uploads = Buckets(k.db), ObjectRows(k.db), UploadRows(k.db)
    access = Access(p, buckets)
    removal = Removal(k)
    writing, reading = Writing(k, objects, removal, settings.object_bytes_max), Reading(k, access, objects)
    expiry = Expiry(k, buckets, (objects, uploads), writing)
    delivery = EventDelivery(k, p, buckets)
    k.outbox.handle(TOPIC, delivery.deliver)
    p.objects = S3Objects(k, access, buckets, (objects, uploads), writing, reading, removal)

    def topology(scope: Scope) -> list[Link]:
        return [
            Link(bucket.arn, target.arn, ", ".join(target.events))
            for bucket in buckets.notifying(scope.account, scope.region)
            for target in notifications.targets(bucket)
        ]

    providers = (
        BucketOperations(k, access, buckets, (objects, uploads), writing),
        ConfigurationOperations(access, reading),
        CopyOperations(k, access, buckets, uploads, writing, reading),
        LifecycleOperations(k, access, buckets, expiry),
        ListOperations(access, objects),
        MultipartOperations(k, access, buckets, (objects, uploads), writing),
        NotificationOperations(k, access, buckets, delivery),
        ObjectOperations(k, access, buckets, objects, writing, reading, removal),
        PolicyOperations(k, access, buckets),
        TagOperations(k, access, objects, writing, reading),
    )
    return Service("s3", operations_of(*providers, prefix="s3"), tasks=[removal, expiry], topology=topology)
