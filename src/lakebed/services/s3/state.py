"""What the operations of S3 work with: the parts of the service, made once in ``service``."""

from __future__ import annotations

from dataclasses import dataclass

from lakebed.kernel.kernel import Kernel
from lakebed.services.s3.access import Access
from lakebed.services.s3.datakeys import DataKeys
from lakebed.services.s3.intake import Intake
from lakebed.services.s3.reading import Reading
from lakebed.services.s3.removal import Removal
from lakebed.services.s3.settings import S3Settings
from lakebed.services.s3.store.access_points import AccessPoints
from lakebed.services.s3.store.buckets import Buckets
from lakebed.services.s3.store.objects import ObjectRows
from lakebed.services.s3.store.restores import Restores
from lakebed.services.s3.store.uploads import UploadRows
from lakebed.services.s3.writing import Writing


@dataclass(frozen=True, slots=True)
class Core:
    """The parts."""

    k: Kernel
    settings: S3Settings
    buckets: Buckets
    objects: ObjectRows
    uploads: UploadRows
    points: AccessPoints
    restores: Restores
    access: Access
    keys: DataKeys
    intake: Intake
    writing: Writing
    reading: Reading
    removal: Removal
