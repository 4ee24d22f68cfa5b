"""The members of all destinations that are not built, for the operations to refuse by name."""

from __future__ import annotations

from lakebed.services.firehose.destinations.iceberg import CONFIGURATIONS as ICEBERG
from lakebed.services.firehose.destinations.iceberg import UPDATES as ICEBERG_UPDATES
from lakebed.services.firehose.destinations.opensearch import CONFIGURATIONS as OPENSEARCH
from lakebed.services.firehose.destinations.opensearch import UPDATES as OPENSEARCH_UPDATES
from lakebed.services.firehose.destinations.redshift import CONFIGURATIONS as REDSHIFT
from lakebed.services.firehose.destinations.redshift import UPDATES as REDSHIFT_UPDATES
from lakebed.services.firehose.destinations.snowflake import CONFIGURATIONS as SNOWFLAKE
from lakebed.services.firehose.destinations.snowflake import UPDATES as SNOWFLAKE_UPDATES
from lakebed.services.firehose.destinations.splunk import CONFIGURATIONS as SPLUNK
from lakebed.services.firehose.destinations.splunk import UPDATES as SPLUNK_UPDATES

CONFIGURATIONS = (*REDSHIFT, *OPENSEARCH, *SPLUNK, *SNOWFLAKE, *ICEBERG)
UPDATES = (*REDSHIFT_UPDATES, *OPENSEARCH_UPDATES, *SPLUNK_UPDATES, *SNOWFLAKE_UPDATES, *ICEBERG_UPDATES)
