"""The calls a page made, as anyone can make them: AWS CLI and boto3, ready to paste.

Each page gets a backend whose ``call`` is a ``Recorder``; so "copy as" is never written by hand, and an error can say
which call failed.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lakebed.console.backend import Caller
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_COMMANDS = {"s3": "s3api"}
_SHOWN_MAX = 6


@dataclass(frozen=True, slots=True)
class Call:
    """An operation with its parameters."""

    service: str
    operation: str
    params: Mapping[str, Any]

    def cli(self) -> str:
        """One command for a POSIX shell."""
        parts = [f"aws {_COMMANDS.get(self.service, self.service)} {_kebab(self.operation)}"]
        for name, value in self.params.items():
            option = f"--{_kebab(name)}"
            if isinstance(value, bool):
                parts.append(option if value else f"--no-{option[2:]}")
            elif isinstance(value, list) and all(isinstance(one, str) for one in value):
                parts.append(" ".join([option, *map(shlex.quote, value)]))
            elif isinstance(value, bytes):  # version 2 of the CLI wants base64 unless told
                text = value.decode("utf-8", "replace")
                parts.append(f"{option} {shlex.quote(text)} --cli-binary-format raw-in-base64-out")
            else:
                text = value if isinstance(value, str) else json.dumps(value)
                parts.append(f"{option} {shlex.quote(text)}")
        if (self.service, self.operation) in (("s3", "GetObject"), ("lambda", "Invoke")):
            parts.append("/dev/stdout")
        line = " ".join(parts)
        return line if len(line) <= 100 else " \\\n  ".join(parts)

    def boto3(self) -> str:
        """One Python expression."""
        arguments = [f"{name}={value!r}" for name, value in self.params.items()]
        start = f'boto3.client("{self.service}").{_kebab(self.operation).replace("-", "_")}('
        line = f"{start}{', '.join(arguments)})"
        return line if len(line) <= 100 else start + "".join(f"\n    {argument}," for argument in arguments) + "\n)"


@dataclass
class Recorder:
    """Passes calls on and remembers them, and the one that failed last."""

    inner: Caller
    made: list[Call] = field(default_factory=list)
    failed: Call | None = None

    async def __call__(self, service: str, operation: str, params: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
        call = Call(service, operation, params)
        kinds = {(one.service, one.operation) for one in self.made}
        if (service, operation) not in kinds and len(self.made) < _SHOWN_MAX:
            self.made.append(call)
        try:
            return await self.inner(service, operation, params, scope)
        except AwsError:
            self.failed = call
            raise

    def cli(self) -> str:
        """All kinds of calls of the page, the first of each kind."""
        return "\n".join(call.cli() for call in self.made)

    def boto3(self) -> str:
        """The same in Python."""
        return "import boto3\n\n" + "\n".join(call.boto3() for call in self.made)


def _kebab(name: str) -> str:
    return _WORDS.sub("-", name).lower()
