"""IAM's operations, a file per resource; what users and roles share is in ``holders``."""
