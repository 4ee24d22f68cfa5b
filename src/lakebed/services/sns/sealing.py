"""Encryption at rest: messages of a topic with a KMS key lie sealed while they are on their way.

A data key under the topic's key seals each message; its wrapped copy lies beside it with the publisher, for whom it is opened
again when it is delivered. So the publisher needs kms:GenerateDataKey and kms:Decrypt, and a key that is disabled stops both
Publish and what waits, which goes on once the key is back.

https://docs.aws.amazon.com/sns/latest/dg/sns-server-side-encryption.html
https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
"""

from __future__ import annotations

import msgspec

from lakebed.api import sns as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports import envelope
from lakebed.ports.house import Ports
from lakebed.services.sns.model import Published, Topic

_MARK = b"\xc1"  # no message begins with it: msgpack never uses it
_NONCE_BYTES = 12
_plain = msgspec.msgpack.Decoder(Published).decode


class _Sealed(msgspec.Struct, frozen=True):
    topic: str
    region: str
    wrapped: bytes
    body: bytes
    publisher: Principal


_sealed = msgspec.msgpack.Decoder(_Sealed).decode


class Sealing:
    """Turns messages into rows and rows into messages."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p = k, p

    def row(self, principal: Principal | None, topic: Topic, published: Published) -> bytes:
        """What is stored of a message; what the house itself sends (no principal) is not sealed."""
        plain, key = msgspec.msgpack.encode(published), topic.attributes.get("KmsMasterKeyId", "")
        if not key or principal is None:
            return plain
        try:
            made = self._p.keys.generate_data_key(principal, topic.scope, key, context=_context(topic.arn), via="sns")
        except AwsError as failure:
            raise envelope.told(failure, _as_sns) from None
        nonce = self._k.ids.secret(_NONCE_BYTES)
        body = nonce + envelope.cipher(made.plaintext).encrypt(nonce, plain, topic.arn.encode())
        sealed = _Sealed(topic.arn, topic.scope.region, made.ciphertext, body, principal)
        return _MARK + msgspec.msgpack.encode(sealed)

    def message(self, topic: Topic, row: bytes) -> Published:
        """The message of a row; KMS's error where its key does not work now."""
        if not row.startswith(_MARK):
            return _plain(row)
        found = _sealed(row[1:])
        key = self._p.keys.decrypt(
            found.publisher, topic.scope, found.wrapped, context=_context(found.topic), via="sns"
        )
        return _plain(envelope.opened(envelope.cipher(key), found.body, found.topic.encode()))


def _context(arn: str) -> dict[str, str]:
    return {"aws:sns:topicArn": arn}


def _as_sns(name: str, message: str) -> AwsError:
    kinds = {
        "KMSNotFoundException": api.KMSNotFoundException,
        "KMSDisabledException": api.KMSDisabledException,
        "KMSAccessDeniedException": api.KMSAccessDeniedException,
        "KMSThrottlingException": api.KMSThrottlingException,
    }
    made: AwsError = kinds.get(name, api.KMSInvalidStateException)(message)
    return made
