"""An execution's life and its API shape; workgroups' configuration. Pure.

State machine: https://docs.aws.amazon.com/athena/latest/APIReference/API_QueryExecutionStatus.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import athena as api
from lakebed.lake import location
from lakebed.ports.sql import SqlFailure

Body = dict[str, Any]
ENGINE_VERSION = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
BAD_TOKEN = api.InvalidRequestException("Invalid NextToken")
_REUSE_MINUTES = 60
_ERROR_TYPES = {"USER_CANCELED": 1, "EXCEEDED_TIME_LIMIT": 2, "EXCEEDED_SCAN_LIMIT": 3, "SYNTAX_ERROR": 1000,
                "TABLE_NOT_FOUND": 1003, "COLUMN_NOT_FOUND": 1006, "TYPE_MISMATCH": 1004, "NOT_SUPPORTED": 233,
                "PERMISSION_DENIED": 1200, "DIVISION_BY_ZERO": 1100, "INVALID_CAST_ARGUMENT": 1101}  # fmt: skip


def new_workgroup(name: str, now: float, configuration: Body | None = None, description: str = "") -> Body:
    """A workgroup with AWS's defaults."""
    made = {
        "EnforceWorkGroupConfiguration": True,
        "PublishCloudWatchMetricsEnabled": True,
        "RequesterPaysEnabled": False,
        "EngineVersion": ENGINE_VERSION,
        **(configuration or {}),
    }
    if name == "primary" and configuration is None:
        made["EnforceWorkGroupConfiguration"] = made["PublishCloudWatchMetricsEnabled"] = False
    return {
        "Name": name, "State": "ENABLED", "Configuration": checked(made), "Description": description, "CreationTime": now,
    }  # fmt: skip


def checked(configuration: Body) -> Body:
    """A configuration without what is not built, refused by name."""
    for member in (
        "ExecutionRole", "CustomerContentEncryptionConfiguration",
        "AdditionalConfiguration",
        "IdentityCenterConfiguration", "QueryResultsS3AccessGrantsConfiguration", "ManagedQueryResultsConfiguration",
        "MonitoringConfiguration", "EngineConfiguration", "SystemTableStatuses", "ManagedQueryResultsConfigurationUpdates",
    ):  # fmt: skip
        value = configuration.get(member)
        if value and not (isinstance(value, dict) and value.get("Enabled") is False):
            raise api.InvalidRequestException(f"Lakebed does not implement {member} of a workgroup's configuration.")
    version = configuration.get("EngineVersion", {}).get("SelectedEngineVersion", "AUTO")
    if version not in ("AUTO", "Athena engine version 3"):
        raise api.InvalidRequestException(f"Engine version {version} is not available.")
    configuration = {**configuration, "EngineVersion": {**ENGINE_VERSION, "SelectedEngineVersion": version}}
    if (cutoff := configuration.get("BytesScannedCutoffPerQuery")) is not None and cutoff < 10_000_000:
        raise api.InvalidRequestException("BytesScannedCutoffPerQuery must be at least 10000000.")
    results = configuration.get("ResultConfiguration", {})
    if results:
        check_result_configuration(results)
    if configuration.get("EnableMinimumEncryptionConfiguration") and not results.get("EncryptionConfiguration"):
        raise api.InvalidRequestException(
            "EnableMinimumEncryptionConfiguration requires an EncryptionConfiguration of the workgroup's results."
        )
    return configuration


def reuse_minutes(workgroup: Body, asked: Body, results: Body) -> int:
    """How old a result may be to stand for this execution's; 0 never. A client's own result configuration rules it out.

    https://docs.aws.amazon.com/athena/latest/ug/reusing-query-results.html
    """
    wanted = asked.get("ResultReuseByAgeConfiguration", {})
    own = bool(workgroup["Configuration"].get("ResultConfiguration", {}).get("OutputLocation"))
    if not wanted.get("Enabled") or (
        results and own and not workgroup["Configuration"]["EnforceWorkGroupConfiguration"]
    ):
        return 0
    return int(wanted.get("MaxAgeInMinutes", _REUSE_MINUTES))


def updated(configuration: Body, updates: Body) -> Body:
    """A configuration with UpdateWorkGroup's updates applied."""
    made = dict(configuration)
    results = dict(made.get("ResultConfiguration", {}))
    for name, value in updates.get("ResultConfigurationUpdates", {}).items():
        if name.startswith("Remove"):
            if value:
                results.pop(name.removeprefix("Remove"), None)
        else:
            results[name] = value
    for name, value in updates.items():
        if name == "ResultConfigurationUpdates":
            continue
        if name == "RemoveBytesScannedCutoffPerQuery":
            if value:
                made.pop("BytesScannedCutoffPerQuery", None)
        elif name.startswith("Remove"):
            if value:
                made.pop(name.removeprefix("Remove"), None)
        else:
            made[name] = value
    made.pop("ResultConfiguration", None)
    if results:
        made["ResultConfiguration"] = results
    return checked(made)


def check_result_configuration(results: Body) -> None:
    """OutputLocation must be an S3 location; encryption beyond S3's own is not built."""
    if (text := results.get("OutputLocation")) is not None:
        try:
            location.parse(text)
        except SqlFailure:
            raise api.InvalidRequestException(f"outputLocation is not a valid S3 path: {text}") from None
    option = results.get("EncryptionConfiguration", {}).get("EncryptionOption")
    if option not in (None, "SSE_S3"):
        raise api.InvalidRequestException(f"Lakebed does not implement {option} for query results.")
    for member in ("AclConfiguration", "ExpectedBucketOwner"):
        if results.get(member):
            raise api.InvalidRequestException(f"Lakebed does not implement {member} for query results.")


def output_location(workgroup: Body, asked: Body) -> str:
    """Where results go: the workgroup's where it is enforced, else the client's, else the workgroup's."""
    own = workgroup["Configuration"].get("ResultConfiguration", {}).get("OutputLocation")
    theirs = asked.get("OutputLocation")
    enforced = workgroup["Configuration"].get("EnforceWorkGroupConfiguration", False)
    found = own if enforced and own else theirs or own
    if not found:
        raise api.InvalidRequestException(
            "No output location provided. An output location is required either through the Workgroup result "
            "configuration setting or as an API input."
        )
    return str(found) if str(found).endswith("/") else f"{found}/"


def failed(body: Body, failure: SqlFailure, now: float) -> Body:
    """FAILED, or CANCELLED where the user wanted it."""
    state = "CANCELLED" if failure.name == "USER_CANCELED" else "FAILED"
    error = {
        "ErrorCategory": failure.category,
        "ErrorType": _ERROR_TYPES.get(failure.name, 1006 if failure.category == 2 else 1),
        "Retryable": failure.retryable,
        "ErrorMessage": f"{failure.name}: {failure.message}"[:2000],
    }
    return {**body, "state": state, "completed": now, "reason": error["ErrorMessage"], "error": error}


def execution_shape(body: Body) -> Body:
    """An execution as GetQueryExecution tells it."""
    status = {"State": body["state"], "SubmissionDateTime": body["submitted"]}
    if "completed" in body:
        status["CompletionDateTime"] = body["completed"]
    if "reason" in body:
        status["StateChangeReason"] = body["reason"]
    if "error" in body and body["state"] == "FAILED":
        status["AthenaError"] = body["error"]
    statistics = {key: value for key, value in body.get("statistics", {}).items() if value is not None}
    made = {
        "QueryExecutionId": body["id"],
        "Query": body["sql"],
        "StatementType": body["type"],
        "SubstatementType": body["substatement"],
        "ResultConfiguration": {**body["results"], "OutputLocation": body["output"]},
        "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": body.get("reuse_asked") or {"Enabled": False}},
        "QueryExecutionContext": body["context"],
        "Status": status,
        "Statistics": statistics,
        "WorkGroup": body["workgroup"],
        "EngineVersion": ENGINE_VERSION,
    }
    if body.get("parameters"):
        made["ExecutionParameters"] = body["parameters"]
    return made
