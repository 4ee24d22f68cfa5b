"""Macros every engine instance carries: Trino functions that DuckDB lacks or answers differently."""

from __future__ import annotations

MACROS: tuple[str, ...] = ()
