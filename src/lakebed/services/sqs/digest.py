"""The MD5 digests SDKs compare with their own.

The body's digest is over its UTF-8 bytes. The attributes' digest is over the attributes in order of their names, each as
length and bytes of name and type, one byte for the kind of value (1 text, 2 binary), length and bytes of the value.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any


def md5_of_body(body: str) -> str:
    """Hex digest of a message body."""
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def md5_of_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> str:
    """Hex digest of message attributes."""
    digest = hashlib.md5(usedforsecurity=False)

    def add(piece: bytes) -> None:
        digest.update(len(piece).to_bytes(4, "big"))
        digest.update(piece)

    for name in sorted(attributes):
        value = attributes[name]
        add(name.encode())
        add(value["DataType"].encode())
        if value["DataType"].split(".", 1)[0] == "Binary":
            digest.update(b"\x02")
            add(value["BinaryValue"])
        else:
            digest.update(b"\x01")
            add(value["StringValue"].encode())
    return digest.hexdigest()
