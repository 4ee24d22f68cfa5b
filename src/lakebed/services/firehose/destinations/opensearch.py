"""OpenSearch: bulk requests to a domain, rotated indices, document ids. Not built.

https://docs.aws.amazon.com/firehose/latest/dev/create-destination.html. Its members are refused by name.
"""

from __future__ import annotations

from lakebed.services.firehose.destinations import Seam

SEAM = Seam(
    configurations=("ElasticsearchDestinationConfiguration", "AmazonopensearchserviceDestinationConfiguration", "AmazonOpenSearchServerlessDestinationConfiguration", ),
    updates=("ElasticsearchDestinationUpdate", "AmazonopensearchserviceDestinationUpdate", "AmazonOpenSearchServerlessDestinationUpdate", ),
    needs="an OpenSearch service (its bulk API; index rotation and document ids are Firehose's)",
)
