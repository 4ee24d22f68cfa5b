"""Crawlers that crawl: what lies in S3 or behind a JDBC connection becomes tables of the catalog.

Follows https://docs.aws.amazon.com/glue/latest/dg/add-crawler.html. ``model`` and ``checks`` are crawlers as values,
``walk`` lists a target's files, ``grouping`` makes tables of folders, ``tables`` writes them in Glue's shape, ``publish``
puts them into the catalog by the schema change policy, ``jdbc`` asks databases, ``work`` runs crawls and keeps schedules.
The engine's process looks into the files (``ports.inspection``); the crawler's role reads and writes.
"""
