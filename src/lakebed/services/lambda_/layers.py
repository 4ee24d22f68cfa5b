"""Layers: published archives that functions see under ``/opt``. What one is, and how a function's list of them is checked.

A layer version never changes. Deleting it hides it; functions that use it keep it. Several layers are merged in their
order, a later one over an earlier one; package and layers together are at most 250 MB unzipped.

https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html
https://docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from lakebed.api.lambda_ import InvalidParameterValueException, LayerVersionsListItem
from lakebed.kernel.scope import Scope
from lakebed.services.lambda_.code import UNZIPPED_BYTES_MAX
from lakebed.services.lambda_.model import LayerUse, invalid, modified_text

LAYERS_MAX = 5
_NAME = re.compile(
    r"(?:arn:(?P<partition>aws[a-zA-Z-]*):lambda:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):(?P<account>\d{12}):layer:)?"
    r"(?P<name>[a-zA-Z0-9-_]{1,140})(?::(?P<version>\d{1,10}))?"
)


class LayerVersion(msgspec.Struct, frozen=True, omit_defaults=True):
    """A published layer version. ``policy`` holds the statements of those who may use it."""

    name: str
    version: int
    code_hex: str
    code_sha256: str
    code_size: int
    unzipped: int
    created: float
    description: str = ""
    runtimes: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    license: str = ""
    policy: tuple[dict[str, Any], ...] = ()
    policy_revision: str = ""


class LayerName(NamedTuple):
    """A layer as somebody named it; ``version`` 0 where none was named."""

    scope: Scope
    name: str
    version: int

    @property
    def arn(self) -> str:
        """The layer's ARN, of the version where one is named."""
        return layer_arn(self.scope, self.name, self.version)


def layer_arn(scope: Scope, name: str, version: int = 0) -> str:
    """``arn:aws:lambda:…:layer:name[:version]``."""
    return scope.arn("lambda", f"layer:{name}" + (f":{version}" if version else ""))


def layer_name(scope: Scope, text: str, version: int = 0) -> LayerName:
    """What a name or ARN means, seen from ``scope``."""
    found = _NAME.fullmatch(text)
    if found is None:
        raise invalid(f"Invalid layer name: {text}")
    owner = Scope(found["account"] or scope.account, found["region"] or scope.region, scope.partition)
    return LayerName(owner, found["name"], version or int(found["version"] or 0))


def not_found(named: LayerName) -> InvalidParameterValueException:
    """AWS's answer where a function names a layer version that is not there."""
    return invalid(f"Layer version {named.arn} does not exist.")


def check_list(arns: Sequence[str], scope: Scope) -> list[LayerName]:
    """A function's layers as named: versions, each layer once, at most five."""
    if len(arns) > LAYERS_MAX:
        raise invalid(
            f"1 validation error detected: Value '{list(arns)}' at 'layers' failed to satisfy constraint: Member must have "
            f"length less than or equal to {LAYERS_MAX}"
        )
    named = [layer_name(scope, arn) for arn in arns]
    for one, arn in zip(named, arns, strict=True):
        if not arn.startswith("arn:") or not one.version:
            raise invalid(f"Layer version ARN is not valid: {arn}")
        if one.scope.region != scope.region:
            raise invalid(
                f"Layers are not in the same region as the function. Layers are expected to be in region {scope.region}."
            )
    if len({(one.scope, one.name) for one in named}) < len(named):
        raise invalid("Two different versions of the same layer are not allowed to be referenced in the same function.")
    return named


def check_size(unzipped: int, layers: Sequence[LayerUse]) -> None:
    """Package and layers together."""
    if layers and unzipped + sum(layer.unzipped for layer in layers) >= UNZIPPED_BYTES_MAX:
        raise invalid(
            f"Function code combined with layers exceeds the maximum allowed size of {UNZIPPED_BYTES_MAX} bytes."
        )


def matches(layer: LayerVersion, request: Mapping[str, Any]) -> bool:
    """Whether a listing that asks for a runtime and an architecture shows it."""
    runtime, architecture = request.get("CompatibleRuntime"), request.get("CompatibleArchitecture")
    return (runtime is None or runtime in layer.runtimes) and (
        architecture is None or architecture in (layer.architectures or ("x86_64",))
    )


def told(scope: Scope, layer: LayerVersion) -> LayerVersionsListItem:
    """The API's view of a version."""
    found: LayerVersionsListItem = {
        "LayerVersionArn": layer_arn(scope, layer.name, layer.version),
        "Version": layer.version,
        "Description": layer.description,
        "CreatedDate": modified_text(layer.created),
    }
    if layer.runtimes:
        found["CompatibleRuntimes"] = list(layer.runtimes)
    if layer.architectures:
        found["CompatibleArchitectures"] = list(layer.architectures)
    if layer.license:
        found["LicenseInfo"] = layer.license
    return found
