"""What the generated modules of this package are made of: error classes and shapes of the operations that are built.

``lakebed.api.sqs`` is two files written by ``tools/gen_api.py``: a stub with every TypedDict and error class for the type
checker, and a table of names. A class of that table is made when it is first asked for (PEP 562): a service uses a tenth
of its model's errors, and shapes are plain dicts at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lakebed.kernel.errors import AwsError


class ModelledError(AwsError):
    """An error that a service's model declares; code and status come from the model."""

    def __init__(self, message: str, *, status: int | None = None, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(self.code, message, status=status or self.status, members=members)


def definitions(
    module: str, namespace: dict[str, Any], errors: Mapping[str, tuple[str, int]], shapes: str
) -> Callable[[str], type]:
    """The ``__getattr__`` of a generated module."""

    def named(name: str) -> type:
        if name in errors:
            code, status = errors[name]
            found = type(name, (ModelledError,), {"code": code, "status": status, "__module__": module})
        elif name in shapes.split():
            found = dict
        else:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        namespace[name] = found
        return found

    return named
