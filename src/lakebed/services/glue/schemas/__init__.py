"""The Glue Schema Registry: registries, schemas, their versions, and whether a new version may follow the old ones.

``model`` is what a registry keeps, ``store`` the tables, ``formats`` names what a data format must answer, and ``avro``,
``json_schema``, ``protobuf`` answer it. Compatibility is decided when a version is registered, so that a version is
AVAILABLE or FAILURE at once and never PENDING.
https://docs.aws.amazon.com/glue/latest/dg/schema-registry.html
"""
