"""Federated queries: tables of other data sources in a statement, joined with tables in S3.

``sources`` says what a data catalog leads to, ``builtin`` are PostgreSQL, MySQL and SQLite files by ``ports.connectors``,
``relations`` puts their tables into a statement. https://docs.aws.amazon.com/athena/latest/ug/federated-queries.html
"""
