"""SQL engine: what runs a statement over relations it is handed. Built by engines/sql_duckdb."""

from __future__ import annotations

from typing import Protocol


class SqlEngine(Protocol):
    """It never sees the catalogue, S3, credentials or a principal."""
