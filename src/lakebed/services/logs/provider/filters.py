"""Metric filters, subscription filters and resource policies.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutSubscriptionFilter.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lakebed.api import logs as api
from lakebed.kernel.arn import parse
from lakebed.ports.service import Context, operation
from lakebed.services.logs.columns import Columns, number_in
from lakebed.services.logs.filter_store import PolicyStore
from lakebed.services.logs.filters import Filters, value_of
from lakebed.services.logs.journal import Journal
from lakebed.services.logs.pattern import compile_pattern
from lakebed.services.logs.provider.desk import Desk, group_arn
from lakebed.services.logs.subscription import SERVICE, Subscriptions

_PAGE = 50
_SUBSCRIPTIONS_MAX, _METRICS_MAX, _POLICIES_MAX, _DIMENSIONS_MAX = 2, 100, 10, 3
_SELECTORS = r"\$[\w.\[\]*@-]+"


class FilterOperations(Desk):
    """Everything that looks at events as they arrive."""

    def __init__(self, journal: Journal, filters: Filters, subscriptions: Subscriptions) -> None:
        super().__init__(journal)
        self.filters, self.subscriptions = filters, subscriptions

    @operation(
        "PutSubscriptionFilter",
        resource=group_arn,
        refused=("applyOnTransformedLogs", "fieldSelectionCriteria", "emitSystemFields"),
    )
    async def put_subscription_filter(self, ctx: Context, req: api.PutSubscriptionFilterRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutSubscriptionFilter.html"""
        group = self.group(ctx, req)
        compile_pattern(req["filterPattern"])
        body: dict[str, Any] = {
            "filterName": req["filterName"], "logGroupName": group.name, "filterPattern": req["filterPattern"],
            "destinationArn": req["destinationArn"], "distribution": req.get("distribution", "ByLogStream"),
            "creationTime": self.journal.now(),
        }  # fmt: skip
        if "roleArn" in req:
            body["roleArn"] = req["roleArn"]
            if parse(req["roleArn"]) is None:
                raise api.InvalidParameterException("The role ARN is invalid.")
            self.filters.p.identity.check_pass_role(ctx.principal, req["roleArn"], SERVICE)
        await self.subscriptions.check(ctx.scope, group.name, body)
        self._put(req["logGroupName"], ctx, "subscription", body, _SUBSCRIPTIONS_MAX)

    @operation("DescribeSubscriptionFilters", resource=group_arn)
    async def describe_subscription_filters(
        self, ctx: Context, req: api.DescribeSubscriptionFiltersRequest
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeSubscriptionFilters.html"""
        group, prefix = self.group(ctx, req), req.get("filterNamePrefix", "")
        bodies = [
            body for name, body in self.filters.store.of_group(group.id, "subscription") if name.startswith(prefix)
        ]
        return _paged("subscriptionFilters", bodies, req.get("nextToken", ""), req.get("limit", _PAGE))

    @operation("DeleteSubscriptionFilter", resource=group_arn)
    async def delete_subscription_filter(self, ctx: Context, req: api.DeleteSubscriptionFilterRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteSubscriptionFilter.html"""
        self._delete(ctx, req, "subscription")

    @operation(
        "PutMetricFilter",
        resource=group_arn,
        refused=("applyOnTransformedLogs", "fieldSelectionCriteria", "emitSystemFieldDimensions"),
    )
    async def put_metric_filter(self, ctx: Context, req: api.PutMetricFilterRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutMetricFilter.html"""
        group = self.group(ctx, req)
        compile_pattern(req["filterPattern"])
        for transformation in req["metricTransformations"]:
            _check_transformation(req["filterPattern"].strip(), transformation)
        body = {
            "filterName": req["filterName"], "logGroupName": group.name, "filterPattern": req["filterPattern"],
            "metricTransformations": list(req["metricTransformations"]), "creationTime": self.journal.now(),
        }  # fmt: skip
        self._put(req["logGroupName"], ctx, "metric", body, _METRICS_MAX)

    @operation("DescribeMetricFilters", resource=group_arn)
    async def describe_metric_filters(self, ctx: Context, req: api.DescribeMetricFiltersRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeMetricFilters.html"""
        if ("metricName" in req) != ("metricNamespace" in req):
            raise api.InvalidParameterException("metricName and metricNamespace must be given together.")
        prefix, limit = req.get("filterNamePrefix", ""), req.get("limit", _PAGE)
        if "logGroupName" in req:
            group = self.group(ctx, req)
            bodies = [body for name, body in self.filters.store.of_group(group.id, "metric") if name.startswith(prefix)]
            return _paged("metricFilters", _measuring(bodies, req), req.get("nextToken", ""), limit)
        after = _read_token(req.get("nextToken"))
        found: list[dict[str, Any]] = []
        while len(found) <= limit:
            page = self.filters.store.of_scope(ctx.scope, "metric", prefix, after, 500)
            found += _measuring([one.body for one in page], req)
            if len(page) < 500:
                break
            after = page[-1].name, page[-1].group
        result: dict[str, Any] = {"metricFilters": found[:limit]}
        if len(found) > limit:
            last = found[limit - 1]
            result["nextToken"] = _token((last["filterName"], last["logGroupName"]))
        return result

    @operation("DeleteMetricFilter", resource=group_arn)
    async def delete_metric_filter(self, ctx: Context, req: api.DeleteMetricFilterRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteMetricFilter.html"""
        self._delete(ctx, req, "metric")

    @operation("TestMetricFilter")
    async def metric_filter_tested(self, _: Context, req: api.TestMetricFilterRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TestMetricFilter.html"""
        pattern = req["filterPattern"].strip()
        matches = compile_pattern(pattern)
        return {
            "matches": [
                {"eventNumber": number, "eventMessage": message, "extractedValues": _extracted(pattern, message)}
                for number, message in enumerate(req["logEventMessages"], 1) if matches(message)
            ]
        }  # fmt: skip

    def _put(self, group_name: str, ctx: Context, kind: str, body: dict[str, Any], limit: int) -> None:
        with self.k.db.tx() as tx:
            group = self.journal.group(ctx.scope, group_name)
            known = dict(self.filters.store.of_group(group.id, kind))
            if body["filterName"] not in known and len(known) >= limit:
                raise api.LimitExceededException("Resource limit exceeded.")
            self.filters.store.put(tx, group, kind, body["filterName"], body)
            tx.after_commit(lambda: self.filters.forget(group.id))

    def _delete(self, ctx: Context, req: Mapping[str, Any], kind: str) -> None:
        with self.k.db.tx() as tx:
            group = self.group(ctx, req)
            if not self.filters.store.delete(tx, group.id, kind, req["filterName"]):
                raise api.ResourceNotFoundException(f"The specified {kind} filter does not exist.")
            tx.after_commit(lambda: self.filters.forget(group.id))


def _is_policy(made: Any) -> bool:
    """Whether IAM can read it: statements with an effect, a principal, actions and resources."""
    statements = made.get("Statement") if isinstance(made, dict) else None
    statements = [statements] if isinstance(statements, dict) else statements
    return (
        isinstance(statements, list)
        and bool(statements)
        and all(
            isinstance(one, dict)
            and one.get("Effect") in ("Allow", "Deny")
            and ("Principal" in one or "NotPrincipal" in one)
            and _is_texts(one.get("Action", one.get("NotAction")))
            and _is_texts(one.get("Resource", one.get("NotResource")))
            and _is_principal(one.get("Principal", one.get("NotPrincipal")))
            and isinstance(one.get("Condition", {}), dict)
            for one in statements
        )
    )


def _is_principal(value: Any) -> bool:
    return value == "*" or (isinstance(value, dict) and bool(value) and all(_is_texts(one) for one in value.values()))


def _is_texts(value: Any) -> bool:
    listed = [value] if isinstance(value, str) else value
    return isinstance(listed, list) and bool(listed) and all(isinstance(one, str) for one in listed)


class PolicyOperations(Desk):
    """Resource policies of the account: which services may deliver to its groups (``port``)."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.policies = PolicyStore(journal.k.db)

    @operation("PutResourcePolicy", refused=("resourceArn", "expectedRevisionId"))
    async def put_resource_policy(self, ctx: Context, req: api.PutResourcePolicyRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html"""
        name, document = req.get("policyName", ""), req.get("policyDocument", "")
        if not name or not document:
            raise api.InvalidParameterException("policyName and policyDocument are required.")
        try:
            made = msgspec.json.decode(document.encode("utf-8", "replace"))
        except (msgspec.DecodeError, RecursionError):
            made = None
        if not _is_policy(made) or len(document) > 5120:
            raise api.InvalidParameterException("The policy document is not valid, or larger than 5,120 characters.")
        now = self.journal.now()
        with self.k.db.tx() as tx:
            known = [one for one, _, _ in self.policies.after(ctx.scope, "", 100)]
            if name not in known and len(known) >= _POLICIES_MAX:
                raise api.LimitExceededException("Resource limit exceeded.")
            self.policies.put(tx, ctx.scope, name, document, now)
        return {"resourcePolicy": {"policyName": name, "policyDocument": document, "lastUpdatedTime": now}}

    @operation("DescribeResourcePolicies", refused=("resourceArn", "policyScope"))
    async def describe_resource_policies(
        self, ctx: Context, req: api.DescribeResourcePoliciesRequest
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeResourcePolicies.html"""
        limit = req.get("limit", _PAGE)
        found = self.policies.after(ctx.scope, req.get("nextToken", ""), limit + 1)
        told = [
            {"policyName": name, "policyDocument": document, "lastUpdatedTime": updated}
            for name, document, updated in found[:limit]
        ]
        return {"resourcePolicies": told} | ({"nextToken": found[limit - 1][0]} if len(found) > limit else {})

    @operation("DeleteResourcePolicy", refused=("resourceArn", "expectedRevisionId"))
    async def delete_resource_policy(self, ctx: Context, req: api.DeleteResourcePolicyRequest) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DeleteResourcePolicy.html"""
        name = req.get("policyName", "")
        with self.k.db.tx() as tx:
            if not self.policies.delete(tx, ctx.scope, name):
                raise api.ResourceNotFoundException(f"Policy with name [{name}] does not exist.")


def _check_transformation(pattern: str, given: Mapping[str, Any]) -> None:
    value, dimensions = given["metricValue"], given.get("dimensions") or {}
    if given["metricNamespace"].startswith("AWS/") or not given["metricNamespace"].strip():
        raise api.InvalidParameterException("The metric namespace must not begin with AWS/ or be empty.")
    if not value.startswith("$") and number_in(value) is None:
        raise api.InvalidParameterException(
            f"Invalid metric transformation: metricValue {value} is not a number or $field."
        )
    if "defaultValue" in given and dimensions:
        raise api.InvalidParameterException("A default value cannot be given with dimensions.")
    if len(dimensions) > _DIMENSIONS_MAX:
        raise api.InvalidParameterException(f"At most {_DIMENSIONS_MAX} dimensions can be given.")
    selectors = [one for one in (value, *dimensions.values()) if one.startswith("$")]
    if any(not one.startswith("$") for one in dimensions.values()):
        raise api.InvalidParameterException("The value of a dimension must be a $field of the pattern.")
    if pattern.startswith("["):
        names = Columns(pattern).names
        wrong = [one for one in selectors if one[1:] not in names or one == "$..."]
    else:
        wrong = [one for one in selectors if not pattern.startswith("{") or not one.startswith("$.")]
    if wrong:
        raise api.InvalidParameterException(f"Invalid metric transformation: {wrong[0]} is not a field of the pattern.")


def _extracted(pattern: str, message: str) -> dict[str, str]:
    if pattern.startswith("["):
        return {f"${name}": value for name, value in (Columns(pattern).values(message) or {}).items()}
    if not pattern.startswith("{"):
        return {}
    read = value_of(pattern)
    found = {one: read(one, message) for one in re.findall(_SELECTORS, pattern)}
    return {one: value for one, value in found.items() if value is not None}


def _measuring(bodies: Sequence[dict[str, Any]], req: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "metricName" not in req:
        return list(bodies)
    wanted = req["metricName"], req["metricNamespace"]
    return [
        body for body in bodies
        if any((one["metricName"], one["metricNamespace"]) == wanted for one in body["metricTransformations"])
    ]  # fmt: skip


def _paged(member: str, bodies: Sequence[dict[str, Any]], after: str, limit: int) -> dict[str, Any]:
    left = [body for body in bodies if body["filterName"] > after]
    result: dict[str, Any] = {member: left[:limit]}
    if len(left) > limit:
        result["nextToken"] = left[limit - 1]["filterName"]
    return result


def _token(place: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode()


def _read_token(token: str | None) -> tuple[str, str]:
    if token is None:
        return "", ""
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(token), type=tuple[str, str])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise api.InvalidParameterException("The specified nextToken is invalid.") from None
