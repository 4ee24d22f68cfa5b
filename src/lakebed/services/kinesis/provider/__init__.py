"""Kinesis's operations, a file for each resource: streams, shards, records, tags."""
