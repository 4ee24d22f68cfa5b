"""Amazon S3: buckets, objects with versions, multipart uploads, policies and event notifications.

Follows the user guide (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html) and the API reference
(https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html). Bodies are opaque blobs of the kernel, named by rows; a key
is only ever bytes in a row. A PUT is acknowledged once its blob has its final name and its row is committed together with
its events; an overwritten blob goes after that commit, and readers that opened it read on.

  provider/    operations by resource          access.py     permission: policies, ACLs, access points, public blocks
  model/       pure rules                      intake.py     bodies on their way in
  store/       the only SQL                    writing.py    the life of versions, and the events of it
  port.py      S3 for other services           reading.py    versions and their bytes
  datakeys.py  keys of encrypted objects       work.py       delivery of events to queues, functions, EventBridge
  browsers.py  what only browsers send         expiry.py     lifecycle rules, applied
  removal.py   files of what is gone           restoring.py  copies of what is archived

Refused and why: docs/deviations/s3.md. ``service`` needs ``p.identity`` for every call, ``p.keys`` for objects under KMS
keys, ``p.queues``, ``p.topics``, ``p.functions`` and ``p.events`` where notifications name them.
"""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Link, Service, operations_of
from lakebed.services.s3.access import Access
from lakebed.services.s3.browsers import S3Browsers
from lakebed.services.s3.datakeys import DataKeys
from lakebed.services.s3.expiry import Expiry
from lakebed.services.s3.intake import Intake
from lakebed.services.s3.model import notifications
from lakebed.services.s3.port import S3Objects
from lakebed.services.s3.provider.access_points import AccessPointOperations
from lakebed.services.s3.provider.attributes import AttributeOperations
from lakebed.services.s3.provider.buckets import BucketOperations
from lakebed.services.s3.provider.configuration import ConfigurationOperations
from lakebed.services.s3.provider.copying import CopyOperations
from lakebed.services.s3.provider.cors import CorsOperations
from lakebed.services.s3.provider.deletes import DeleteOperations
from lakebed.services.s3.provider.encryption import EncryptionOperations
from lakebed.services.s3.provider.lifecycle import LifecycleOperations
from lakebed.services.s3.provider.listing import ListOperations
from lakebed.services.s3.provider.locks import LockOperations
from lakebed.services.s3.provider.multipart import MultipartOperations
from lakebed.services.s3.provider.notifications import NotificationOperations
from lakebed.services.s3.provider.objects import ObjectOperations
from lakebed.services.s3.provider.ownership import OwnershipOperations
from lakebed.services.s3.provider.policies import PolicyOperations
from lakebed.services.s3.provider.restores import RestoreOperations
from lakebed.services.s3.provider.tagging import TagOperations
from lakebed.services.s3.provider.uploads import UploadListOperations
from lakebed.services.s3.reading import Reading
from lakebed.services.s3.removal import Removal
from lakebed.services.s3.restoring import Restoring
from lakebed.services.s3.settings import S3Settings
from lakebed.services.s3.state import Core
from lakebed.services.s3.store.access_points import AccessPoints
from lakebed.services.s3.store.buckets import Buckets
from lakebed.services.s3.store.objects import ObjectRows
from lakebed.services.s3.store.restores import Restores
from lakebed.services.s3.store.uploads import UploadRows
from lakebed.services.s3.work import EventDelivery
from lakebed.services.s3.writing import TOPIC, Writing

_BY_CORE = (
    AttributeOperations, BucketOperations, ConfigurationOperations, CopyOperations, CorsOperations, DeleteOperations,
    EncryptionOperations, ListOperations, LockOperations, MultipartOperations, OwnershipOperations,
    PolicyOperations, RestoreOperations, TagOperations, UploadListOperations,
)  # fmt: skip


def service(k: Kernel, p: Ports) -> list[Service]:
    """Build S3 and S3 Control on a kernel and set ``p.objects`` and ``p.browsers``."""
    k.db.migrate("s3", "lakebed.services.s3", k.clock)
    core = _core(k, p)
    expiry = Expiry(k, core.buckets, (core.objects, core.uploads), core.writing)
    restoring = Restoring(k, core.buckets, core.objects, core.restores, core.writing)
    delivery = EventDelivery(k, p, core.buckets)
    k.outbox.handle(TOPIC, delivery.deliver)
    objects = ObjectOperations(core)
    p.objects = S3Objects(core)
    p.browsers = S3Browsers(core, objects)

    def topology(scope: Scope) -> list[Link]:
        return [
            Link(bucket.arn, target.arn, ", ".join(target.events))
            for bucket in core.buckets.notifying(scope.account, scope.region)
            for target in notifications.targets(bucket)
        ]

    made = [provider(core) for provider in _BY_CORE]
    operations = operations_of(
        *made, objects, LifecycleOperations(core, expiry), NotificationOperations(core, delivery), prefix="s3"
    )
    return [
        Service("s3", operations, tasks=[core.removal, expiry, restoring], topology=topology),
        Service("s3control", operations_of(AccessPointOperations(core), prefix="s3")),
    ]


def _core(k: Kernel, p: Ports) -> Core:
    settings = k.settings.section("services", "s3", S3Settings)
    buckets, objects, uploads, points = Buckets(k.db), ObjectRows(k.db), UploadRows(k.db), AccessPoints(k.db)
    access, removal = Access(p, buckets, objects, points), Removal(k)
    return Core(
        k=k,
        settings=settings,
        buckets=buckets,
        objects=objects,
        uploads=uploads,
        points=points,
        restores=Restores(k.db),
        access=access,
        keys=DataKeys(k, p),
        intake=Intake(k, settings.object_bytes_max),
        writing=Writing(k, objects, removal),
        reading=Reading(k, access, objects),
        removal=removal,
    )
