"""Athena's operations, a file for each resource."""
