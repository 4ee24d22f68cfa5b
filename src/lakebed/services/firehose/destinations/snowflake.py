"""Snowflake: its streaming ingest. Not built.

https://docs.aws.amazon.com/firehose/latest/dev/create-destination.html. Its members are refused by name.
"""

from __future__ import annotations

CONFIGURATIONS = ("SnowflakeDestinationConfiguration",)
UPDATES = ("SnowflakeDestinationUpdate",)
NEEDS = "Snowflake itself: there is no open form of its ingest protocol"
