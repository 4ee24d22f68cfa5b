"""Apache Iceberg tables of the Glue catalogue: appends, and updates by unique keys. Not built.

https://docs.aws.amazon.com/firehose/latest/dev/create-destination.html. Its members are refused by name.
"""

from __future__ import annotations

CONFIGURATIONS = ("IcebergDestinationConfiguration",)
UPDATES = ("IcebergDestinationUpdate",)
NEEDS = "a writer of Iceberg tables off the loop (pyiceberg in the engine's child) with commits against Glue"
