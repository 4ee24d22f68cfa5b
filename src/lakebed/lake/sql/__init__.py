"""Athena's SQL (Trino's dialect) compiled to DuckDB. Imported in engine workers only: sqlglot takes 100 ms and 30 MB."""
