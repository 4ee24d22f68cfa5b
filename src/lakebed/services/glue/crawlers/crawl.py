"""One crawl: every target in turn, S3 folders, tables of the catalog, databases behind connections.

In CRAWL_NEW_FOLDERS_ONLY the folders of earlier crawls are not opened again; in CRAWL_EVENT_MODE the first crawl sees
everything and later ones the folders that S3's notifications in the target's queue name (they are deleted from it once the
crawl has written what it found). https://docs.aws.amazon.com/glue/latest/dg/incremental-crawls.html
https://docs.aws.amazon.com/glue/latest/dg/crawler-s3-event-notifications.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from lakebed.api import glue as api
from lakebed.kernel.scope import Principal
from lakebed.ports.house import Ports
from lakebed.services.glue.catalogue import Catalogue
from lakebed.services.glue.crawlers import configuration, globs, grouping, jdbc, walk
from lakebed.services.glue.crawlers.grouping import Folder, Rules
from lakebed.services.glue.crawlers.model import Crawler
from lakebed.services.glue.crawlers.publish import Publisher
from lakebed.services.glue.crawlers.store import CrawlerStore
from lakebed.services.glue.crawlers.vaulted import Connections
from lakebed.services.glue.model import Table

_EVENTS_MAX = 10_000
_VISIBILITY_SECONDS = 900.0
Body = Mapping[str, Any]


class Crawling:
    """A crawl's steps; ``publisher`` keeps what it did."""

    def __init__(
        self,
        rooms: tuple[Catalogue, Ports, CrawlerStore, Connections],
        crawler: Crawler,
        principal: Principal,
        walking: walk.Walk,
        publisher: Publisher,
    ) -> None:
        self._catalogue, self._p, self._store, self._connections = rooms
        self._crawler, self._principal, self._walk, self.publisher = crawler, principal, walking, publisher
        self._configuration = configuration.read(crawler.body.get("Configuration"))
        self._recrawl = crawler.body["RecrawlPolicy"]["RecrawlBehavior"]
        self._earlier = store_folders = self._store.crawled(crawler) if self._recrawl != "CRAWL_EVERYTHING" else set()
        self._first = not store_folders
        self._new: list[str] = []
        self._receipts: list[tuple[str, list[str]]] = []

    async def run(self) -> None:
        """All targets; raises AwsError where one cannot be read."""
        targets = self._crawler.body["Targets"]
        if self.publisher.database:
            self.publisher.ensure_database()
        groups: list[tuple[grouping.Group, Body]] = []
        for target in targets.get("S3Targets", ()):
            groups += [(group, target) for group in await self._s3(target)]
        self._check_threshold(len(groups))
        for group, target in groups:
            extra = (
                {"exclusions": msgspec.json.encode(target["Exclusions"]).decode()} if target.get("Exclusions") else {}
            )
            self.publisher.table(group, self._configuration, extra)
            self._walk.pulse()
        for target in targets.get("CatalogTargets", ()):
            for name in target["Tables"]:
                await self._catalog(self._catalogue.table(self._crawler.scope, target["DatabaseName"], name), target)
        for target in targets.get("JdbcTargets", ()):
            await self._jdbc(target)
        if self._recrawl == "CRAWL_EVERYTHING" and self.publisher.database:
            self.publisher.lost([_folder_of(target["Path"]) for target in targets.get("S3Targets", ())]
                                + [jdbc.prefix_of(target["Path"]) for target in targets.get("JdbcTargets", ())])  # fmt: skip
        with self._catalogue.k.db.tx() as tx:
            self._store.remember(tx, self._crawler, self._new)
        for queue, receipts in self._receipts:
            self._p.queues.delete(self._principal, queue, receipts)

    async def _s3(self, target: Body) -> list[grouping.Group]:
        wanted = self._wanted(target)
        if wanted is None and self._recrawl != "CRAWL_EVERYTHING" and not self._first:
            earlier = self._earlier
            root = await self._folder(target, lambda folder: folder not in earlier)
        else:
            root = await self._folder(target, None if wanted is None else lambda folder: folder in wanted)
        if self._recrawl != "CRAWL_EVERYTHING":
            self._new += walk.folders(root)
        known = {f"{path}/" for path in self.publisher.known(self.publisher.database)}
        rules = Rules(self._configuration.combine, self._configuration.Grouping.TableLevelConfiguration, known)
        return grouping.tables(root, rules)

    async def _folder(self, target: Body, wanted: Any) -> Folder:
        excluded = globs.matcher(target.get("Exclusions") or ())
        return await self._walk.folder(target["Path"], excluded, target.get("SampleSize", 0), wanted)

    def _wanted(self, target: Body) -> set[str] | None:
        """In event mode, the folders that notifications name; None where all count."""
        queue = target.get("EventQueueArn")
        if self._recrawl != "CRAWL_EVENT_MODE" or not queue:
            return None
        messages = self._p.queues.receive(self._principal, queue, _EVENTS_MAX, visibility_seconds=_VISIBILITY_SECONDS)
        self._receipts.append((queue, [message.receipt_handle for message in messages]))
        if self._first:
            return None
        return {folder for message in messages for folder in _named(message.body)}

    async def _catalog(self, table: Table, target: Body) -> None:
        """A table's own location is looked at again; no other table comes of it."""
        place = (table.body.get("StorageDescriptor") or {}).get("Location", "")
        root = await self._walk.folder(place, globs.matcher(()), target.get("SampleSize", 0))
        groups = grouping.whole(root)
        if not groups:
            self.publisher.lost_table(table)
            return
        made = grouping_input(table, groups[0], self._crawler.name)
        self.publisher.put(table.database, table, made, self._configuration)
        self.publisher.partitions(table.database, table.name, groups[0], self._configuration)

    async def _jdbc(self, target: Body) -> None:
        connection = self._connections.require(self._crawler.scope, target["ConnectionName"])
        found = await jdbc.tables_of(self._catalogue.k, self._connections.opened(connection), target)
        self._check_threshold(len(found))
        known = self.publisher.known(self.publisher.database)
        names = {table.name for table in known.values()}
        for one in found:
            made = jdbc.table_input(one, connection.name, self._crawler, names)
            present = known.get(made["StorageDescriptor"]["Location"])
            if present is not None:
                made["Name"] = present.name
            names.add(made["Name"])
            self.publisher.put(self.publisher.database, present, made, self._configuration)
            self._walk.pulse()

    def _check_threshold(self, count: int) -> None:
        most = self._configuration.CrawlerOutput.Tables.TableThreshold
        if most and count > most:
            raise api.InvalidInputException(
                f"The number of tables detected by crawler: {count} is greater than the table threshold value "
                f"provided: {most}"
            )


def grouping_input(table: Table, group: grouping.Group, crawler: str) -> dict[str, Any]:
    """A catalog target's table as the crawl sees it."""
    from lakebed.services.glue.crawlers.tables import table_input

    return table_input(table.name, group, crawler, {})


def _folder_of(path: str) -> str:
    bucket, prefix = walk.parse(path)
    return f"{bucket}/{prefix}" if not prefix or prefix.endswith("/") else f"{bucket}/{prefix}/"


def _named(body: str) -> set[str]:
    """The folders of the objects a notification tells of, also where SNS wrapped it."""
    try:
        told = msgspec.json.decode(body)
        if isinstance(told, dict) and isinstance(told.get("Message"), str):
            told = msgspec.json.decode(told["Message"])
        places = [
            (record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"])) for record in told["Records"]
        ]
    except (msgspec.DecodeError, KeyError, TypeError):  # s3:TestEvent, or no event at all
        return set()
    return {f"{bucket}/{key[: key.rfind('/') + 1]}" for bucket, key in places}
