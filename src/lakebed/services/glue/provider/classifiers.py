"""Custom classifiers: Grok, XML, JSON, CSV.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-classifiers.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import glue as api
from lakebed.ports.service import Context, operation
from lakebed.services.glue import model as glue_model
from lakebed.services.glue.crawlers.desk import Crawlers
from lakebed.services.glue.crawlers.model import KINDS, Classifier
from lakebed.wire.aws.pages import sealed

_PAGE = 100
_JSON_PATH = re.compile(r"\$(?:\.[A-Za-z_][\w\-]*|\['[^']+'\]|\[(?:\d+|\*)\]|\.\*)*")
_TYPES = {"BINARY", "BOOLEAN", "DATE", "DECIMAL", "DOUBLE", "FLOAT", "INT", "LONG", "SHORT", "STRING", "TIMESTAMP"}


class ClassifierOperations:
    """Everything on classifiers."""

    def __init__(self, crawlers: Crawlers) -> None:
        self._k, self._store = crawlers.k, crawlers.classifier_store

    @operation("CreateClassifier")
    async def create_classifier(self, ctx: Context, req: api.CreateClassifierRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_CreateClassifier.html"""
        kind, name, body = _given(req)
        if self._store.find(ctx.scope, name) is not None:
            raise api.AlreadyExistsException(f"Classifier with name {name} already exists")
        self._put(ctx, Classifier(name, kind, 1, ctx.now, ctx.now, _checked(kind, body)))
        return {}

    @operation("UpdateClassifier")
    async def update_classifier(self, ctx: Context, req: api.UpdateClassifierRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateClassifier.html"""
        kind, name, body = _given(req)
        known = self._require(ctx, name)
        if known.kind != kind:
            raise api.InvalidInputException(f"Classifier {name} is of another kind")
        body = _checked(kind, {**known.body, **body})
        self._put(ctx, msgspec.structs.replace(known, body=body, version=known.version + 1, updated=ctx.now))
        return {}

    @operation("GetClassifier")
    async def get_classifier(self, ctx: Context, req: api.GetClassifierRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetClassifier.html"""
        return {"Classifier": self._require(ctx, req["Name"]).shown()}

    @operation("GetClassifiers")
    async def get_classifiers(self, ctx: Context, req: api.GetClassifiersRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetClassifiers.html"""
        limit = min(req.get("MaxResults", _PAGE), _PAGE)
        found = self._store.after(ctx.scope, glue_model.read_token(req.get("NextToken"), str, ""), limit + 1)
        result: dict[str, Any] = {"Classifiers": [one.shown() for one in found[:limit]]}
        if len(found) > limit:
            result["NextToken"] = sealed(found[limit - 1].name)
        return result

    @operation("DeleteClassifier")
    async def delete_classifier(self, ctx: Context, req: api.DeleteClassifierRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteClassifier.html"""
        known = self._require(ctx, req["Name"])
        with self._k.db.tx() as tx:
            self._store.delete(tx, ctx.scope, known.name)
        return {}

    def _require(self, ctx: Context, name: str) -> Classifier:
        found = self._store.find(ctx.scope, name)
        if found is None:
            raise api.EntityNotFoundException(f"Classifier with name {name} does not exist")
        return found

    def _put(self, ctx: Context, one: Classifier) -> None:
        with self._k.db.tx() as tx:
            self._store.put(tx, ctx.scope, one)


def _given(req: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """(kind, name, members) of the one classifier a request holds."""
    found = [(kind, req[member]) for kind, member in KINDS.items() if req.get(member)]
    if len(found) != 1:
        raise api.InvalidInputException("Exactly one classifier has to be given")
    kind, given = found[0]
    return kind, given["Name"], {member: value for member, value in given.items() if member != "Name"}


def _checked(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    if kind == "json" and _JSON_PATH.fullmatch(body["JsonPath"]) is None:
        raise api.InvalidInputException(f"JsonPath {body['JsonPath'][:200]} is not supported")
    if kind == "grok":
        _check_grok(body)
    if kind == "csv":
        if body.get("Delimiter") and body.get("Delimiter") == body.get("QuoteSymbol"):
            raise api.InvalidInputException("Delimiter and QuoteSymbol must differ")
        if any(one.upper() not in _TYPES for one in body.get("CustomDatatypes", ())):
            raise api.InvalidInputException(f"CustomDatatypes are of {', '.join(sorted(_TYPES))}")
        if body.get("CustomDatatypes") and not body.get("CustomDatatypeConfigured"):
            raise api.InvalidInputException("CustomDatatypes need CustomDatatypeConfigured")
    return body


def _check_grok(body: Mapping[str, Any]) -> None:
    from lakebed.lake import grok

    try:
        grok.expand(body["GrokPattern"], grok.custom(body.get("CustomPatterns", "")))
    except grok.GrokError as wrong:
        raise api.InvalidInputException(f"GrokPattern is invalid: {wrong}") from None
