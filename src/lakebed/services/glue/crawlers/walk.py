"""A target's files: listed with the role's permissions, sorted into folders, the samples looked at by the engine.

Bounded: 1,000,000 objects a crawl; at most 100 files of a folder are opened, or ``SampleSize`` of them. Markers, empty
objects and names that begin with ``_`` or ``.`` are passed over, as every reader of the tables passes over them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass

from lakebed.api import glue as api
from lakebed.kernel.scope import Principal
from lakebed.lake import location
from lakebed.ports.house import Ports
from lakebed.ports.inspection import Classifier, Inspected, Suspect
from lakebed.ports.objects import ObjectInfo
from lakebed.ports.sql import SqlFailure
from lakebed.services.glue.crawlers.grouping import Folder

_OBJECTS_MAX = 1_000_000
_FILES_OF_A_FOLDER = 100
_AT_ONCE = 32
Pulse = Callable[[], None]  # between two steps: renews the lease, raises where the crawl was stopped


@dataclass(frozen=True, slots=True)
class Walk:
    """How a crawl reads: as whom, what it leaves out, which folders only."""

    p: Ports
    principal: Principal
    classifiers: Sequence[Classifier]
    pulse: Pulse

    async def folder(
        self, path: str, excluded: Callable[[str], bool], sample: int = 0, wanted: Callable[[str], bool] | None = None
    ) -> Folder:
        """The tree below ``s3://…``, its sampled files inspected; ``wanted`` says which folders count at all."""
        bucket, prefix = parse(path)
        root = Folder(f"{bucket}/{prefix}" if not prefix or prefix.endswith("/") else f"{bucket}/{prefix}/")
        sampled: list[tuple[Folder, ObjectInfo]] = []
        seen: dict[str, int] = {}
        async for info in self._objects(bucket, prefix):
            below = info.key[len(root.path) - len(bucket) - 1 :]
            if _passed_over(info) or excluded(below):
                continue
            home = root.path + below[: below.rfind("/") + 1]
            if wanted is not None and not wanted(home):
                continue
            folder = _at(root, below)
            folder.objects += 1
            folder.size += info.size
            seen[folder.path] = seen.get(folder.path, 0) + 1
            if seen[folder.path] <= (sample or _FILES_OF_A_FOLDER):
                sampled.append((folder, info))
        known = 0
        for at in range(0, len(sampled), _AT_ONCE):
            self.pulse()
            batch = sampled[at : at + _AT_ONCE]
            for (folder, info), found in zip(batch, await self._look([info for _, info in batch]), strict=True):
                known += found is not None
                folder.files.append((f"{bucket}/{info.key}", found or Inspected()))
        if sampled and not known:
            raise SqlFailure("INTERNAL_ERROR", "the engine failed over every file", category=1)
        return root

    async def _look(self, infos: Sequence[ObjectInfo]) -> Sequence[Inspected | None]:
        """None for a file that ends the engine's process, or its time."""
        suspects = [Suspect(str(info.path), info.key, info.size) for info in infos]
        try:
            return await self.p.sql.inspect(suspects, self.classifiers)
        except SqlFailure as failure:
            if failure.name == "SERVER_SHUTTING_DOWN":
                raise
            if len(suspects) == 1:
                return [None]
            return [found for info in infos for found in await self._look([info])]

    async def _objects(self, bucket: str, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Below a folder; an object by its own name where the path is one."""
        count, after = 0, ""
        start = prefix
        while page := await self.p.objects.list(self.principal, bucket, start, after=after, reading=True):
            self.pulse()
            for info in page:
                if prefix and not prefix.endswith("/") and info.key != prefix and not info.key.startswith(f"{prefix}/"):
                    continue
                count += 1
                if count > _OBJECTS_MAX:
                    raise api.InvalidInputException(f"s3://{bucket}/{prefix} holds more than {_OBJECTS_MAX} objects")
                yield info
            after = page[-1].key


def parse(path: str) -> location.Location:
    """InvalidInputException for what is no S3 path."""
    try:
        return location.parse(path if "://" in path else f"s3://{path}")
    except SqlFailure:
        raise api.InvalidInputException(f"The S3 path is invalid: {path[:200]}") from None


def folders(root: Folder) -> Collection[str]:
    """Every folder that holds files itself."""
    found = [root.path] if root.objects else []
    for child in root.children.values():
        found += folders(child)
    return found


def _passed_over(info: ObjectInfo) -> bool:
    name = info.key.rpartition("/")[2]
    return not name or info.size == 0 or name[0] in "_." or info.key.endswith("_$folder$")


def _at(root: Folder, below: str) -> Folder:
    folder = root
    for name in below.split("/")[:-1]:
        if name not in folder.children:
            folder.children[name] = Folder(f"{folder.path}{name}/")
        folder = folder.children[name]
    return folder
