"""Apache Iceberg: what a table's metadata says, and how a change of it is made.

Two kinds of module live here. ``state``, ``types``, ``properties``, ``statements``, ``dml``, ``commit`` are light and run in
the server. ``files``, ``snapshots``, ``planning``, ``writing``, ``changes``, ``evolution``, ``maintenance``, ``inspecting``
speak to pyiceberg and pyarrow: only the engine's child process imports them (ADR 0008).

Rows are deleted by position (merge-on-read), as Athena does it; a file that loses all its rows leaves the table. Tables of
format version 1 and 2 are read, version 2 is written.
https://iceberg.apache.org/spec/, https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg.html
"""
