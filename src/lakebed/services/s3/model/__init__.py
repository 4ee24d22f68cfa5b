"""What S3 knows without a disk: names, stored shapes, conditions, ranges, listings, checksums, events, policies.

Everything below is pure: values in, values or an ``AwsError`` out, so that properties can be tested without a house.
"""
