"""Server-side encryption of what waits: record bodies sealed in the delivery stream's logs under KMS data keys.

https://docs.aws.amazon.com/firehose/latest/dev/encryption.html. A record's lane and time stay readable, so that buffers can
be counted without a key; its bytes are sealed for its delivery stream. AWS acts through a grant that its owner gave; here KMS
is asked as the owner's account, at each put and each delivery, so that a disabled key is felt at once. A data key is used for
five minutes. ``AWS_OWNED_CMK`` is the alias ``alias/aws/firehose``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from lakebed.api import firehose as api
from lakebed.kernel.db import Database
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports import envelope
from lakebed.ports.envelope import Cipher, Sealer
from lakebed.ports.house import Ports
from lakebed.services.firehose.model import DeliveryStream

OWNED_ALIAS = "alias/aws/firehose"
_NUMBER = struct.Struct(">I")
_KEPT_MAX = 1000
Open = Callable[[bytes], bytes]


class Seals:
    """Seals and opens the bodies of all delivery streams."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p = k, p
        self._rows = DataKeys(k.db)
        self._sealers: dict[str, Sealer] = {}

    def check(self, stream: DeliveryStream, key: str) -> None:
        """Raise unless the key may be used for the delivery stream."""
        try:
            arn = self._p.keys.key_arn(_owner(stream), stream.scope, key)
            self._p.keys.generate_data_key(_owner(stream), stream.scope, arn, context=_context(stream), via="firehose")
        except AwsError as failure:
            raise _told(failure) from None

    def sealer(self, stream: DeliveryStream) -> Callable[[bytes], bytes] | None:
        """What seals a record's bytes; None where the delivery stream is not encrypted."""
        if not stream.encryption.key:
            return None
        try:
            made = self._p.keys.generate_data_key(
                _owner(stream), stream.scope, stream.encryption.key, context=_context(stream), via="firehose"
            )
        except AwsError as failure:
            raise _told(failure) from None
        now, sealer = self._k.clock.now(), self._sealers.get(stream.uid)
        if sealer is None or sealer.key_arn != made.key_arn or sealer.ends <= now or sealer.spent:
            number = self._rows.insert(stream, made.key_arn, made.ciphertext, now)
            if len(self._sealers) >= _KEPT_MAX:
                self._sealers.clear()
            sealer = Sealer(number, made.key_arn, made.plaintext, self._k.ids.secret(8), now + envelope.KEY_SECONDS)
            self._sealers[stream.uid] = sealer
        head, seal, bound = _NUMBER.pack(sealer.number), sealer.seal, stream.uid.encode()
        return lambda data: head + seal(data, bound)

    def opener(self, stream: DeliveryStream) -> Open:
        """What opens a sealed record's bytes. For one reading."""
        ciphers: dict[int, Cipher] = {}
        bound = stream.uid.encode()

        def open_data(sealed: bytes) -> bytes:
            (number,) = _NUMBER.unpack_from(sealed)
            key = ciphers.get(number)
            if key is None:
                key = ciphers[number] = envelope.cipher(self._plain(stream, number))
            return envelope.opened(key, sealed[_NUMBER.size :], bound)

        return open_data

    def _plain(self, stream: DeliveryStream, number: int) -> bytes:
        wrapped = self._rows.wrapped(stream, number)
        try:
            return self._p.keys.decrypt(_owner(stream), stream.scope, wrapped, context=_context(stream), via="firehose")
        except AwsError as failure:
            raise _told(failure) from None


class DataKeys:
    """Wrapped data keys of delivery streams; they go with their stream (one every five minutes of puts)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def insert(self, stream: DeliveryStream, key_arn: str, ciphertext: bytes, now: float) -> int:
        """Keep a wrapped key; its number. Those of records older than a week are gone: nothing waits so long."""
        where = (stream.scope.account, stream.scope.region, stream.uid)
        with self._db.tx() as tx:
            last = tx.one(
                "SELECT coalesce(max(number), 0) AS n FROM firehose_data_key WHERE account=? AND region=? AND uid=?",
                where,
            )
            assert last is not None
            number = int(last["n"]) + 1
            tx.execute(
                "INSERT INTO firehose_data_key VALUES (?,?,?,?,?,?,?)", (*where, number, key_arn, ciphertext, now)
            )
            tx.execute(
                "DELETE FROM firehose_data_key WHERE account=? AND region=? AND uid=? AND made_at<?",
                (*where, now - 7 * 24 * 3600.0),
            )
        return number

    def wrapped(self, stream: DeliveryStream, number: int) -> bytes:
        """A wrapped key."""
        row = self._db.one(
            "SELECT ciphertext FROM firehose_data_key WHERE account=? AND region=? AND uid=? AND number=?",
            (stream.scope.account, stream.scope.region, stream.uid, number),
        )
        if row is None:
            raise OSError(f"data key {number} of {stream.arn} is not there")
        return bytes(row["ciphertext"])


def _owner(stream: DeliveryStream) -> Principal:
    account, root = stream.scope.account, stream.scope.global_arn("iam", "root")
    return Principal(account, root, "root", account, root)


def _context(stream: DeliveryStream) -> dict[str, str]:
    return {"aws:firehose:arn": stream.arn}


def _told(failure: AwsError) -> AwsError:
    return envelope.told(failure, lambda name, message: api.InvalidKMSResourceException(f"{name}: {message}"))
