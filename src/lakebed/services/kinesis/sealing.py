"""Server-side encryption: records sealed in the shards' logs under data keys that KMS wraps.

https://docs.aws.amazon.com/streams/latest/dev/what-is-sse.html. What is sealed is a record as its log holds it (partition
key, explicit hash key, data), for its stream: moved to another stream's log it does not open. Each put asks KMS as its
producer (kms:GenerateDataKey) and each read as its consumer (kms:Decrypt), so a disabled key or a missing permission is
felt at once; a data key is used for five minutes. Records stay readable after encryption was stopped or its key changed:
they name the data key they were sealed with.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from lakebed.api import kinesis as api
from lakebed.kernel.db import Database
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports import envelope
from lakebed.ports.envelope import Sealer
from lakebed.ports.house import Ports
from lakebed.services.kinesis.model import Stream

SEALED = 0x80  # first byte of a sealed record; of any other it is a length below 40
_HEAD = struct.Struct(">BI")
_KEPT_MAX = 1000
Open = Callable[[bytes], bytes]
_ERRORS: dict[str, Callable[[str], AwsError]] = {
    "KMSNotFoundException": api.KMSNotFoundException,
    "KMSDisabledException": api.KMSDisabledException,
    "KMSInvalidStateException": api.KMSInvalidStateException,
    "KMSAccessDeniedException": api.KMSAccessDeniedException,
    "KMSThrottlingException": api.KMSThrottlingException,
}


class Seals:
    """Seals and opens records of all streams."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p = k, p
        self._rows = DataKeys(k.db)
        self._sealers: dict[str, Sealer] = {}

    def check(self, principal: Principal, stream: Stream, key_id: str) -> None:
        """Raise unless ``principal`` may have records sealed under the key, which must be enabled and symmetric."""
        try:
            arn = self._p.keys.key_arn(principal, stream.scope, key_id)
            self._p.keys.generate_data_key(principal, stream.scope, arn, context=_context(stream), via="kinesis")
        except AwsError as failure:
            raise envelope.told(failure, _error) from None

    def sealer(self, principal: Principal, stream: Stream) -> Callable[[bytes], bytes] | None:
        """What seals a record of the stream; None where it is not encrypted."""
        if not stream.key_id:
            return None
        try:
            made = self._p.keys.generate_data_key(
                principal, stream.scope, stream.key_id, context=_context(stream), via="kinesis"
            )
        except AwsError as failure:
            raise envelope.told(failure, _error) from None
        now, sealer = self._k.clock.now(), self._sealers.get(stream.uid)
        if sealer is None or sealer.key_arn != made.key_arn or sealer.ends <= now or sealer.spent:
            number = self._rows.insert(stream, made.key_arn, made.ciphertext, now)
            if len(self._sealers) >= _KEPT_MAX:
                self._sealers.clear()
            head = self._k.ids.secret(8)
            sealer = Sealer(number, made.key_arn, made.plaintext, head, now + envelope.KEY_SECONDS)
            self._sealers[stream.uid] = sealer
        head, seal, bound = _HEAD.pack(SEALED, sealer.number), sealer.seal, stream.uid.encode()
        return lambda record: head + seal(record, bound)

    def opener(self, principal: Principal, stream: Stream) -> Open:
        """What opens a logged record for ``principal``; what is not sealed comes back as it is. For one answer."""
        ciphers: dict[int, envelope.Cipher] = {}
        bound = stream.uid.encode()

        def open_record(raw: bytes) -> bytes:
            if raw[0] != SEALED:
                return raw
            _, number = _HEAD.unpack_from(raw)
            key = ciphers.get(number)
            if key is None:
                key = ciphers[number] = envelope.cipher(self._plain(principal, stream, number))
            return envelope.opened(key, raw[_HEAD.size :], bound)

        return open_record

    def forget_old(self, stream: Stream, before: float) -> None:
        """Delete data keys whose records are all older than the retention period."""
        self._rows.delete_old(stream, before - envelope.KEY_SECONDS)

    def _plain(self, principal: Principal, stream: Stream, number: int) -> bytes:
        wrapped = self._rows.wrapped(stream, number)
        try:
            return self._p.keys.decrypt(principal, stream.scope, wrapped, context=_context(stream), via="kinesis")
        except AwsError as failure:
            raise envelope.told(failure, _error) from None


class DataKeys:
    """Wrapped data keys of streams."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def insert(self, stream: Stream, key_arn: str, ciphertext: bytes, now: float) -> int:
        """Keep a wrapped key; its number."""
        where = (stream.scope.account, stream.scope.region, stream.uid)
        with self._db.tx() as tx:
            last = tx.one(
                "SELECT coalesce(max(number), 0) AS n FROM kinesis_data_key WHERE account=? AND region=? AND uid=?",
                where,
            )
            assert last is not None
            number = int(last["n"]) + 1
            tx.execute(
                "INSERT INTO kinesis_data_key VALUES (?,?,?,?,?,?,?)", (*where, number, key_arn, ciphertext, now)
            )
        return number

    def wrapped(self, stream: Stream, number: int) -> bytes:
        """A wrapped key."""
        row = self._db.one(
            "SELECT ciphertext FROM kinesis_data_key WHERE account=? AND region=? AND uid=? AND number=?",
            (stream.scope.account, stream.scope.region, stream.uid, number),
        )
        if row is None:
            raise OSError(f"data key {number} of {stream.arn} is not there")
        return bytes(row["ciphertext"])

    def delete_old(self, stream: Stream, before: float) -> None:
        """All made before, but the newest: numbers never repeat."""
        where = (stream.scope.account, stream.scope.region, stream.uid)
        with self._db.tx() as tx:
            tx.execute(
                "DELETE FROM kinesis_data_key WHERE account=? AND region=? AND uid=? AND made_at<? AND number < (SELECT "
                "max(number) FROM kinesis_data_key WHERE account=? AND region=? AND uid=?)",
                (*where, before, *where),
            )


def _context(stream: Stream) -> dict[str, str]:
    return {"aws:kinesis:arn": stream.arn}


def _error(name: str, message: str) -> AwsError:
    return _ERRORS[name](message)
