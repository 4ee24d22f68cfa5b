"""Operations of S3, a file per resource. Each is short: find the bucket and permission, check, one transaction, pack.

Every operation declares ``action=None`` because the permission is asked for in ``access.Access`` with the bucket's policy.
"""
