"""Redshift: COPY of what S3 got, by the Data API or a cluster's endpoint. Not built.

https://docs.aws.amazon.com/firehose/latest/dev/create-destination.html. Its members are refused by name.
"""

from __future__ import annotations

CONFIGURATIONS = ("RedshiftDestinationConfiguration",)
UPDATES = ("RedshiftDestinationUpdate",)
NEEDS = "a Redshift service (COPY from S3 through its Data API)"
