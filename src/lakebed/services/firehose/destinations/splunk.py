"""Splunk: the HTTP event collector with its acknowledgements. Not built.

https://docs.aws.amazon.com/firehose/latest/dev/create-destination.html. Its members are refused by name.
"""

from __future__ import annotations

CONFIGURATIONS = ("SplunkDestinationConfiguration",)
UPDATES = ("SplunkDestinationUpdate",)
NEEDS = "nothing but the HEC protocol on kernel.outward (raw and event endpoints, acknowledgement polling)"
