"""What a crawler may be asked for: its targets and policies, with the defaults Glue fills in.

https://docs.aws.amazon.com/glue/latest/webapi/API_CreateCrawler.html. Refused by name: targets in DynamoDB, MongoDB, Delta,
Hudi and Iceberg, S3 over a connection's network, lineage, Lake Formation's credentials, security configurations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.errors import not_built
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.services.glue.catalogue import Catalogue
from lakebed.services.glue.crawlers import configuration, globs, jdbc, walk
from lakebed.services.glue.crawlers.desk import Crawlers, role_arn
from lakebed.services.glue.crawlers.vaulted import Connections

Body = dict[str, Any]
_MEMBERS = (
    "Role", "DatabaseName", "Description", "Targets", "Classifiers", "TablePrefix", "SchemaChangePolicy", "RecrawlPolicy",
    "LineageConfiguration", "LakeFormationConfiguration", "Configuration",
)  # fmt: skip
_REFUSED = ("DynamoDBTargets", "MongoDBTargets", "DeltaTargets", "IcebergTargets", "HudiTargets")
_PLAIN = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}


class Checks:
    """Over the rooms a crawler's members name things in."""

    def __init__(self, p: Ports, catalogue: Catalogue, crawlers: Crawlers, connections: Connections) -> None:
        self._p, self._catalogue, self._crawlers, self._connections = p, catalogue, crawlers, connections
        self.k: Kernel = catalogue.k

    def body(
        self, principal: Principal, scope: Scope, req: Mapping[str, Any], before: Body | None, operation: str
    ) -> Body:
        """What is kept of a request, over what was there before."""
        given = {member: req[member] for member in _MEMBERS if member in req}
        made: Body = {
            "SchemaChangePolicy": {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "DEPRECATE_IN_DATABASE"},
            "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVERYTHING"}, "Classifiers": [],
            "LineageConfiguration": {"CrawlerLineageSettings": "DISABLE"},
            "LakeFormationConfiguration": {"UseLakeFormationCredentials": False, "AccountId": ""},
            **(before or {}),
        }  # fmt: skip
        for member, value in given.items():
            known = made.get(member)
            made[member] = {**known, **value} if member.endswith("Policy") and isinstance(known, dict) else value
        self._refuse(made, operation)
        self._targets(scope, made, operation)
        self._policies(made)
        configuration.read(made.get("Configuration"))
        for name in made["Classifiers"]:
            if self._crawlers.classifier_store.find(scope, name) is None:
                raise api.InvalidInputException(f"Classifier {name} does not exist")
        if "Role" in given:
            self._p.identity.check_pass_role(principal, role_arn(scope, made["Role"]), "glue.amazonaws.com")
        return made

    def _refuse(self, made: Body, operation: str) -> None:
        if made["LineageConfiguration"].get("CrawlerLineageSettings", "DISABLE") != "DISABLE":
            raise not_built("glue", operation, "LineageConfiguration.CrawlerLineageSettings")
        if made["LakeFormationConfiguration"].get("UseLakeFormationCredentials"):
            raise not_built("glue", operation, "LakeFormationConfiguration.UseLakeFormationCredentials")
        for member in _REFUSED:
            if made["Targets"].get(member):
                raise not_built("glue", operation, f"CrawlerTargets.{member}")

    def _targets(self, scope: Scope, made: Body, operation: str) -> None:
        targets = made["Targets"]
        if not any(targets.get(member) for member in ("S3Targets", "JdbcTargets", "CatalogTargets")):
            raise api.InvalidInputException("Crawler targets cannot be empty")
        if targets.get("CatalogTargets") and (targets.get("S3Targets") or targets.get("JdbcTargets")):
            raise api.InvalidInputException("Catalog targets cannot be mixed with other targets")
        if not targets.get("CatalogTargets") and not made.get("DatabaseName"):
            raise api.InvalidInputException("DatabaseName is required for targets that are not in the catalog")
        for target in targets.get("S3Targets", ()):
            self._s3(target, operation)
        for target in targets.get("CatalogTargets", ()):
            self._catalog(scope, made, target, operation)
        for target in targets.get("JdbcTargets", ()):
            self._jdbc(scope, target, operation)

    def _s3(self, target: Body, operation: str) -> None:
        for member in ("ConnectionName", "DlqEventQueueArn"):
            if target.get(member):
                raise not_built("glue", operation, f"S3Target.{member}")
        if not target.get("Path"):
            raise api.InvalidInputException("An S3 target needs a Path")
        walk.parse(target["Path"])
        globs.matcher(target.get("Exclusions") or ())
        if not 1 <= target.get("SampleSize", 1) <= 249:
            raise api.InvalidInputException("SampleSize is between 1 and 249")

    def _catalog(self, scope: Scope, made: Body, target: Body, operation: str) -> None:
        for member in ("ConnectionName", "EventQueueArn", "DlqEventQueueArn"):
            if target.get(member):
                raise not_built("glue", operation, f"CatalogTarget.{member}")
        for name in target["Tables"]:
            self._catalogue.table(scope, target["DatabaseName"], name)
        if made["SchemaChangePolicy"]["DeleteBehavior"] != "LOG":
            raise api.InvalidInputException("The DeleteBehavior of a crawler with catalog targets must be LOG")

    def _jdbc(self, scope: Scope, target: Body, operation: str) -> None:
        if target.get("EnableAdditionalMetadata"):
            raise not_built("glue", operation, "JdbcTarget.EnableAdditionalMetadata")
        if not target.get("ConnectionName"):
            raise api.InvalidInputException("A JDBC target needs a ConnectionName")
        connection = self._connections.require(scope, target["ConnectionName"])
        jdbc.address(connection.body["ConnectionProperties"].get("JDBC_CONNECTION_URL", ""))
        globs.matcher(target.get("Exclusions") or ())

    def _policies(self, made: Body) -> None:
        recrawl = made["RecrawlPolicy"].get("RecrawlBehavior", "CRAWL_EVERYTHING")
        if recrawl == "CRAWL_EVERYTHING":
            return
        policy = made["SchemaChangePolicy"]
        if {name: policy.get(name) for name in _PLAIN} != _PLAIN:
            raise api.InvalidInputException(
                f"The SchemaChangePolicy for {recrawl} must have UpdateBehavior LOG and DeleteBehavior LOG"
            )
        targets = made["Targets"].get("S3Targets", ())
        if not targets:
            raise api.InvalidInputException(f"{recrawl} is for S3 targets")
        if recrawl == "CRAWL_EVENT_MODE" and not all(target.get("EventQueueArn") for target in targets):
            raise api.InvalidInputException("CRAWL_EVENT_MODE needs an EventQueueArn for each S3 target")
