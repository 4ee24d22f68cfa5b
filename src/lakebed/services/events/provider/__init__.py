"""EventBridge's operations, a file per resource."""
