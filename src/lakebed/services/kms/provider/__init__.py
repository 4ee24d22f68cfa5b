"""KMS's operations, a file per resource."""
