"""The only SQL of S3, a file per resource: buckets, object versions, multipart uploads.

Bucket names are global in a partition, so rows below a bucket are keyed by its name; the bucket's own row says which
account and region it belongs to. Rows are written in the same transaction as their effect on events (the outbox).
"""
