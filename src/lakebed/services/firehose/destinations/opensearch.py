"""OpenSearch: bulk requests to a domain, rotated indices, document ids. Not built.

https://docs.aws.amazon.com/firehose/latest/dev/create-destination.html. Its members are refused by name.
"""

from __future__ import annotations

CONFIGURATIONS = (
    "ElasticsearchDestinationConfiguration",
    "AmazonopensearchserviceDestinationConfiguration",
    "AmazonOpenSearchServerlessDestinationConfiguration",
)
UPDATES = (
    "ElasticsearchDestinationUpdate",
    "AmazonopensearchserviceDestinationUpdate",
    "AmazonOpenSearchServerlessDestinationUpdate",
)
NEEDS = "an OpenSearch service (its bulk API; index rotation and document ids are Firehose's)"
