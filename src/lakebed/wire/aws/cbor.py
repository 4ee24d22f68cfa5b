"""CBOR, in the two forms AWS has: the body of JSON-RPC requests for Kinesis's Java clients, and Smithy's RPC v2.

Kinesis's form (``application/x-amz-cbor-1.1``) has timestamps in epoch milliseconds under tag 1, Smithy's
(https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html) in seconds. cbor2 decodes with bounded depth; tags
that would build other objects (bignums, decimals, shared references, regular expressions) are not decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lakebed.wire.aws.jsonshapes import CborReaders, Readers, Writers
from lakebed.wire.aws.scalars import malformed

_DEPTH = 64
_TAGS = (*range(64), 100, 256, 258, 260, 261, 1004, 43000, 55799)  # all that cbor2 gives a meaning


def _untagged(value: Any, *_: Any) -> Any:
    return value


def _decode(body: bytes) -> Any:
    import cbor2

    if not body:
        return {}
    try:
        return cbor2.loads(body, max_depth=_DEPTH, semantic_decoders=dict.fromkeys(_TAGS, _untagged))
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, OverflowError):
        raise malformed("The request body is not valid CBOR.") from None


def _encode(value: Any) -> bytes:
    import cbor2

    encoded: bytes = cbor2.dumps(value)
    return encoded


def _write_millis(seconds: float) -> Any:
    import cbor2

    return cbor2.CBORTag(1, round(seconds * 1000))


def _write_seconds(seconds: float) -> Any:
    import cbor2

    return cbor2.CBORTag(1, int(seconds) if seconds == int(seconds) else seconds)


@dataclass(frozen=True, slots=True)
class Form:
    """One of the two forms."""

    content_type: str
    millis: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    decode: Callable[[bytes], Any] = _decode
    encode: Callable[[Any], bytes] = _encode

    def readers(self) -> Readers:
        """Readers of shapes."""
        return CborReaders(millis=self.millis)

    def writers(self) -> Writers:
        """Writers of shapes."""
        return Writers(blob=None, timestamp=_write_millis if self.millis else _write_seconds, number=None)


AMZ_CBOR = Form("application/x-amz-cbor-1.1", millis=True)
RPC_V2 = Form("application/cbor", millis=False, headers={"smithy-protocol": "rpc-v2-cbor"})
