"""The service models of botocore's data files, read as plain values.

botocore's own loader, session and model classes cost most of a second to import and build; a server needs only the JSON.
So the gzip file is read here with msgspec and wrapped in ``Shape``: a shape as seen from one place that refers to it,
with the traits of that reference laid over its own. Nothing is built before somebody asks for it.

The format is that of https://github.com/boto/botocore (``data/<service>/<version>/service-2.json.gz``); it says the same
as the Smithy models of https://smithy.io/2.0/aws/protocols/.
"""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from lakebed.wire.aws.dialect import QUERY_CODES

Traits = Mapping[str, Any]


class Shape:
    """A shape where it is referred to: ``name`` and ``type`` of the shape, traits of both, the reference's first."""

    __slots__ = ("_members", "_own_name", "model", "name", "traits", "type")

    def __init__(self, model: Model, reference: Traits) -> None:
        definition: Traits = model.shapes[reference["shape"]]
        self.model = model
        self.name: str = reference["shape"]
        self.type: str = definition["type"]
        self.traits: Traits = {**definition, **reference}
        self._own_name: str | None = reference.get("locationName")
        self._members: dict[str, Shape] | None = None

    def get(self, trait: str, default: Any = None) -> Any:
        """A trait's value."""
        return self.traits.get(trait, default)

    def wire_name(self, member: str) -> str:
        """The name on the wire of the member that refers to this shape; a structure's own name is only that of a root."""
        return self._own_name or (member if self.type == "structure" else self.traits.get("locationName", member))

    @property
    def members(self) -> dict[str, Shape]:
        """A structure's members, in the model's order."""
        if self._members is None:
            references: Mapping[str, Traits] = self.traits.get("members", {})
            self._members = {name: Shape(self.model, reference) for name, reference in references.items()}
        return self._members

    def part(self, which: str) -> Shape:
        """A list's ``member``, a map's ``key`` or ``value``."""
        return Shape(self.model, self.traits[which])

    @property
    def document(self) -> bool:
        """Whether this is free-form JSON."""
        return bool(self.traits.get("document"))

    @property
    def streaming(self) -> bool:
        """Whether this is a blob that is handed over piece by piece."""
        return self.type == "blob" and bool(self.traits.get("streaming"))

    def payload(self) -> Shape | None:
        """The member that is the whole body."""
        name = self.traits.get("payload")
        return self.members[name] if name else None

    def event_stream(self) -> tuple[str, Shape] | None:
        """Name and shape of the member that is an event stream."""
        for name, member in self.members.items():
            if member.get("eventstream"):
                return name, member
        return None


class _Lazy(Mapping[str, Traits]):
    """Shapes or operations, read when they are first looked at: a service uses a part, and half of it is documentation."""

    def __init__(self, raw: dict[str, msgspec.Raw]) -> None:
        self.raw = raw
        self._read: dict[str, Traits] = {}

    def __getitem__(self, name: str) -> Traits:
        found = self._read.get(name)
        if found is None:
            found = self._read[name] = msgspec.json.decode(self.raw[name])
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.raw

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)


class _File(msgspec.Struct):
    """What is taken of a model file."""

    metadata: dict[str, Any]
    operations: dict[str, msgspec.Raw]
    shapes: dict[str, msgspec.Raw]


class _Fault(msgspec.Struct):
    """What tells an error shape from others."""

    exception: bool = False
    error: dict[str, Any] | None = None


class Model:
    """One service's model."""

    def __init__(self, service: str, text: bytes) -> None:
        file = msgspec.json.decode(text, type=_File)
        self.service = service
        self.metadata: Mapping[str, Any] = file.metadata
        self.shapes, self.operations = _Lazy(file.shapes), _Lazy(file.operations)
        self._by_code: dict[str, str] | None = None
        self._structures: dict[tuple[str, str], Shape | None] = {}

    def input(self, operation: str) -> Shape | None:
        """The input structure of an operation, if it has one."""
        return self._structure(operation, "input")

    def output(self, operation: str) -> Shape | None:
        """The output structure of an operation, if it has one."""
        return self._structure(operation, "output")

    def _structure(self, operation: str, which: str) -> Shape | None:
        if (operation, which) not in self._structures:
            reference = self.operations[operation].get(which)
            self._structures[operation, which] = Shape(self, reference) if reference else None
        return self._structures[operation, which]

    def error(self, code: str) -> Shape | None:
        """The error shape with this wire code or name."""
        if self._by_code is None:
            self._by_code = {}
            for name, raw in self.shapes.raw.items():
                fault = msgspec.json.decode(raw, type=_Fault)
                if fault.exception or fault.error is not None:
                    self._by_code[name] = name
            for name in list(self._by_code):
                self._by_code.setdefault(self.shapes[name].get("error", {}).get("code", name), name)
            for name, old_code in QUERY_CODES.get(self.service, {}).items():
                self._by_code.setdefault(old_code, name)
        found = self._by_code.get(code)
        return Shape(self, {"shape": found}) if found else None


def _directory(service: str) -> Path:
    spec = importlib.util.find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("botocore's data files are not installed")
    root = Path(spec.submodule_search_locations[0]) / "data" / service
    versions = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    if not versions:
        raise LookupError(f"botocore has no model of {service!r}")
    return root / versions[-1]


@cache
def model(service: str) -> Model:
    """The newest model of a service, by botocore's name of it."""
    packed = (_directory(service) / "service-2.json.gz").read_bytes()
    return Model(service, gzip.decompress(packed))
