"""The broker's limits, in one place, and the checks that only need them.

https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits. Rates (100 messages a second for a
connection, 500 connects a second) are not enforced: a local run is judged by what the machine bears.
"""

from __future__ import annotations

from lakebed.wire.mqtt import topics

PACKET_BYTES_MAX = 149_504  # 146 KiB, what AWS announces as maximum packet size
PAYLOAD_BYTES_MAX = 128 << 10
TOPIC_BYTES_MAX = 256
TOPIC_SLASHES_MAX = 7
FILTERS_PER_PACKET_MAX = 8
SUBSCRIPTIONS_MAX = 50
CLIENT_ID_BYTES_MAX = 128
IN_FLIGHT_MAX = 100
TOPIC_ALIASES_MAX = 8
KEEP_ALIVE_MIN, KEEP_ALIVE_MAX = 30, 1200
SESSION_EXPIRY_MAX = 3600
RETAINED_MAX = 5000

# Ours, so that no client can make the house hold an unbounded amount for it.
CONNECTIONS_MAX = 4000
SESSIONS_MAX = 20_000
QUEUED_MAX = 10_000
QUEUED_BYTES_MAX = 64 << 20
INBOUND_BYTES_MAX = 4 << 20
OUTBOUND_BYTES_DROP = 2 << 20  # QoS 0 messages are dropped beyond this
OUTBOUND_BYTES_MAX = 16 << 20  # the connection is ended beyond this
CONNECT_WITHIN_SECONDS = 15.0
HANDSHAKE_SECONDS = 15.0

RULES_PREFIX = "$aws/rules/"


def keep_alive(asked: int) -> int:
    """The keep alive that counts: AWS's default where none was asked, else within its bounds."""
    return max(KEEP_ALIVE_MIN, min(asked or KEEP_ALIVE_MAX, KEEP_ALIVE_MAX))


def topic_fault(topic: str) -> str | None:
    """Why a topic may not be published to, None where it may. Basic ingest's first three levels do not count."""
    if not topics.is_topic(topic):
        return "topic is empty or contains a wildcard"
    counted = topic
    if topic.startswith(RULES_PREFIX):
        counted = topic[len(RULES_PREFIX) :].partition("/")[2]
    if len(counted.encode()) > TOPIC_BYTES_MAX:
        return f"topic is longer than {TOPIC_BYTES_MAX} bytes"
    if counted.count("/") > TOPIC_SLASHES_MAX:
        return f"topic has more than {TOPIC_SLASHES_MAX} slashes"
    return None


def is_reserved(topic: str) -> bool:
    """Whether a device may not publish to it although it is well formed."""
    return topic.startswith("$") and not topic.startswith(RULES_PREFIX)


def filter_fault(topic_filter: str) -> str | None:
    """Why a filter may not be subscribed to, None where it may; a shared filter is judged by its inner one."""
    if (shared := topics.shared(topic_filter)) is not None:
        if not shared.group:
            return "share name is empty or contains a wildcard"
        topic_filter = shared.topic_filter
    if not topics.is_filter(topic_filter):
        return "topic filter is malformed"
    if len(topic_filter.encode()) > TOPIC_BYTES_MAX:
        return f"topic filter is longer than {TOPIC_BYTES_MAX} bytes"
    if topic_filter.count("/") > TOPIC_SLASHES_MAX:
        return f"topic filter has more than {TOPIC_SLASHES_MAX} slashes"
    return None
