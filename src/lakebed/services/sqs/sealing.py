"""Encryption at rest: what a message says lies sealed in the database, by a key of SQS or by one of KMS.

SSE-SQS (a new queue's default) seals with the house's own key for SQS. SSE-KMS envelopes: a data key under the queue's KMS
key seals the body, and its wrapped copy lies beside it, so that a message stays readable wherever it is moved to and whatever
becomes of the queue. A data key serves new messages for the queue's reuse period; its plain form is asked of KMS for each
request, for the sender and for the receiver, and never kept: a key that is disabled refuses both at once.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-server-side-encryption.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
Attributes and other metadata are not sealed, as at AWS.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from lakebed.api import sqs as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.kernel.vault import Vault
from lakebed.ports.house import Ports
from lakebed.services.sqs.model import Draft, Message, Queue, Seal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_QUEUES_KNOWN_MAX = 10_000


class Sealing:
    """Seals drafts and opens messages."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p = k, p
        self._vault = Vault(k.data / "sqs.master.key", k.ids)
        self._wrapped: dict[int, tuple[str, bytes, float]] = {}

    def seal(self, principal: Principal, queue: Queue, drafts: Sequence[Draft]) -> list[Draft]:
        """The drafts as they are stored. KMS asks for kms:GenerateDataKey and kms:Decrypt of the sender."""
        if queue.kms_key:
            wrapped, key = self._data_key(principal, queue)
            cipher, seal = _cipher(key), Seal(queue.arn, wrapped)
            return [
                msgspec.structs.replace(one, stored=self._sealed(cipher, one.body, seal), seal=seal) for one in drafts
            ]
        if queue.is_sealed:
            seal = Seal(queue.arn)
            return [
                msgspec.structs.replace(
                    one,
                    seal=seal,
                    stored=_text(self._vault.seal_bytes(one.body.encode("utf-8", "surrogatepass"), queue.arn)),
                )
                for one in drafts
            ]
        return list(drafts)

    def open(self, principal: Principal, queue: Queue, messages: Sequence[Message]) -> list[Message]:
        """The messages as they were sent. KMS asks for kms:Decrypt of the receiver."""
        ciphers: dict[bytes, AESGCM] = {}
        return [self._opened(principal, queue, message, ciphers) for message in messages]

    def _opened(self, principal: Principal, queue: Queue, message: Message, ciphers: dict[bytes, AESGCM]) -> Message:
        seal = message.extra.seal
        if seal is None:
            return message
        blob = base64.b64decode(message.body)
        if seal.wrapped:
            if seal.wrapped not in ciphers:
                ciphers[seal.wrapped] = _cipher(self._unwrap(principal, queue, seal))
            plain = ciphers[seal.wrapped].decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], seal.queue.encode())
        else:
            plain = self._vault.open_bytes(blob, seal.queue)
        return msgspec.structs.replace(message, body=plain.decode("utf-8", "surrogatepass"))

    def _sealed(self, cipher: AESGCM, body: str, seal: Seal) -> str:
        nonce = self._k.ids.secret(_NONCE_BYTES)
        return _text(nonce + cipher.encrypt(nonce, body.encode("utf-8", "surrogatepass"), seal.queue.encode()))

    def _data_key(self, principal: Principal, queue: Queue) -> tuple[bytes, bytes]:
        """(wrapped, plain): the last one while it may be used again, else a new one."""
        now, known = self._k.clock.now(), self._wrapped.get(queue.id)
        if known is not None and known[0] == queue.kms_key and now - known[2] < queue.key_reuse_seconds:
            return known[1], self._unwrap(principal, queue, Seal(queue.arn, known[1]))
        try:
            made = self._p.keys.generate_data_key(
                principal, queue.scope, queue.kms_key, context={"aws:sqs:arn": queue.arn}, via="sqs"
            )
        except AwsError as failure:
            raise _as_sqs(failure) from None
        if len(self._wrapped) >= _QUEUES_KNOWN_MAX:
            self._wrapped.clear()
        self._wrapped[queue.id] = (queue.kms_key, made.ciphertext, now)
        return made.ciphertext, made.plaintext

    def _unwrap(self, principal: Principal, queue: Queue, seal: Seal) -> bytes:
        try:
            return self._p.keys.decrypt(
                principal, queue.scope, seal.wrapped, context={"aws:sqs:arn": seal.queue}, via="sqs"
            )
        except AwsError as failure:
            raise _as_sqs(failure) from None


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _text(blob: bytes) -> str:
    return base64.b64encode(blob).decode()


def _as_sqs(failure: AwsError) -> AwsError:
    """KMS's errors by SQS's names for them."""
    return _KINDS.get(failure.error_code, api.KmsInvalidState)(failure.message)


_KINDS: dict[str, Callable[[str], AwsError]] = {
    "AccessDeniedException": api.KmsAccessDenied,
    "DisabledException": api.KmsDisabled,
    "InvalidKeyUsageException": api.KmsInvalidKeyUsage,
    "NotFoundException": api.KmsNotFound,
    "InvalidArnException": api.KmsNotFound,
}
