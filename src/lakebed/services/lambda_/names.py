"""The ways to name a function: name, ``account:function:name``, ARN, each with or without a qualifier. Pure.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html (FunctionName)
https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from lakebed.api.lambda_ import InvalidParameterValueException, ResourceNotFoundException
from lakebed.kernel.scope import Scope
from lakebed.ports.service import ResourceOf

LATEST = "$LATEST"
NAME_LENGTH_MAX = 64
_FORM = re.compile(
    r"(?:arn:(?P<partition>aws[a-zA-Z-]*):lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?(?:(?P<account>\d{12}):)?"
    r"(?:function:)?(?P<name>[a-zA-Z0-9-_]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?"
)


class Reference(NamedTuple):
    """A function somebody means; ``qualifier`` None where none was given."""

    scope: Scope
    name: str
    qualifier: str | None

    @property
    def arn(self) -> str:
        """With the qualifier as given."""
        return function_arn(self.scope, self.name, self.qualifier)


def function_arn(scope: Scope, name: str, qualifier: str | None = None) -> str:
    """The function's ARN, qualified where a qualifier is given."""
    return scope.arn("lambda", f"function:{name}" + (f":{qualifier}" if qualifier else ""))


def reference(scope: Scope, text: str, qualifier: str | None = None) -> Reference:
    """What ``text`` (and a Qualifier member) names, seen from ``scope``."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise InvalidParameterValueException(f"Invalid function name: {text}", members={"Type": "User"})
    name, region = found["name"], found["region"] or scope.region
    if len(name) > NAME_LENGTH_MAX:
        raise InvalidParameterValueException(
            f"Function name must be at most {NAME_LENGTH_MAX} characters.", members={"Type": "User"}
        )
    if region != scope.region:
        raise ResourceNotFoundException(
            f"Functions from '{region}' are not reachable in this region ('{scope.region}')", members={"Type": "User"}
        )
    if qualifier is not None and found["qualifier"] is not None and qualifier != found["qualifier"]:
        raise InvalidParameterValueException(
            "The derived qualifier from the function name does not match the specified qualifier.",
            members={"Type": "User"},
        )
    owner = Scope(found["account"] or scope.account, region, scope.partition)
    return Reference(owner, name, qualifier or found["qualifier"])


def resource(*, qualified: bool = False) -> ResourceOf:
    """The ARN a permission is asked for, from the FunctionName (and Qualifier) of a request."""

    def of(scope: Scope, request: dict[str, Any]) -> str:
        found = reference(scope, request["FunctionName"], request.get("Qualifier"))
        return found.arn if qualified else function_arn(found.scope, found.name)

    return of


def tagged_resource(_scope: Scope, request: dict[str, Any]) -> str:
    """The ARN of the tagging operations."""
    return str(request["Resource"])


def not_found(arn: str) -> ResourceNotFoundException:
    """AWS's answer where no such function, version or alias exists."""
    return ResourceNotFoundException(f"Function not found: {arn}", members={"Type": "User"})
