"""The operations of Lambda, one file for each resource."""
