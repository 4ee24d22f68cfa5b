"""A KMS in memory: keys by id, each enabled or not, and who may use them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.keys import DataKey


class FakeKeys:
    """Implements ``lakebed.ports.keys.Keys``. A wrapped key is JSON: nothing here is secret."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {
            "one": "Enabled",
            "two": "Enabled",
            "alias/aws/kinesis": "Enabled",
            "alias/aws/firehose": "Enabled",
        }
        self.denied: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self._count = 0

    def key_arn(self, principal: Principal, scope: Scope, key: str) -> str:
        return self._usable(scope, key)

    def generate_data_key(
        self, principal: Principal, scope: Scope, key: str, *, context: Mapping[str, str], via: str
    ) -> DataKey:
        arn = self._usable(scope, key)
        self._permitted(principal, "kms:GenerateDataKey")
        self._count += 1
        plain = self._count.to_bytes(32, "big")
        wrapped = {"key": arn, "plain": b64encode(plain).decode(), "context": dict(context)}
        return DataKey(arn, plain, json.dumps(wrapped).encode())

    def decrypt(
        self, principal: Principal, scope: Scope, ciphertext: bytes, *, context: Mapping[str, str], via: str
    ) -> bytes:
        wrapped = json.loads(ciphertext)
        self._usable(scope, wrapped["key"])
        self._permitted(principal, "kms:Decrypt")
        if wrapped["context"] != dict(context):
            raise AwsError("InvalidCiphertextException", "")
        return b64decode(wrapped["plain"])

    def _usable(self, scope: Scope, key: str) -> str:
        name = key.rpartition("key/")[2]
        state = self.states.get(name)
        if state is None:
            raise AwsError("NotFoundException", f"Key {key} does not exist")
        if state == "Disabled":
            raise AwsError("DisabledException", f"{key} is disabled.")
        if state != "Enabled":
            raise AwsError("KMSInvalidStateException", f"{key} is pending deletion.")
        return scope.arn("kms", f"key/{name}")

    def _permitted(self, principal: Principal, action: str) -> None:
        self.asked.append((action, principal.arn))
        if action in self.denied:
            raise AwsError("AccessDeniedException", f"{principal.arn} may not {action}")
