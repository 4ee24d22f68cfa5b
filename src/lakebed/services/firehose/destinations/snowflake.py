"""Snowflake: its streaming ingest. Not built.

https://docs.aws.amazon.com/firehose/latest/dev/create-destination.html. Its members are refused by name.
"""

from __future__ import annotations

from lakebed.services.firehose.destinations import Seam

SEAM = Seam(
    configurations=("SnowflakeDestinationConfiguration", ),
    updates=("SnowflakeDestinationUpdate", ),
    needs="Snowflake itself: there is no open form of its ingest protocol",
)
