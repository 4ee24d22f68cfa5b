"""``lakebed env``: what clients have to be told so that they talk to this Lakebed.

Exports for a shell, a profile for ``~/.aws/config``, and with ``--iceberg`` the settings of PyIceberg, DuckDB, Spark and
Trino for Glue's Iceberg REST endpoint. A proxy that the shell names would be asked for the loopback address too, so
``NO_PROXY`` is exported where one is set.

https://docs.aws.amazon.com/glue/latest/dg/connect-glu-iceberg-rest.html, https://py.iceberg.apache.org/configuration/,
https://duckdb.org/docs/stable/core_extensions/iceberg/amazon_sagemaker_lakehouse, https://iceberg.apache.org/docs/latest/
spark-configuration/, https://trino.io/docs/current/object-storage/metastores.html#iceberg-rest-catalog
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from lakebed.cli.online import address_of
from lakebed.cli.output import show

_REGION = "us-east-1"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


def env(options: argparse.Namespace) -> int:
    """``eval "$(lakebed env)"`` points every AWS client of the shell here."""
    where = address_of(options.data)
    values = {
        "AWS_ENDPOINT_URL": where["http_url"],
        "AWS_ACCESS_KEY_ID": where["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": where["secret_access_key"],
        "AWS_DEFAULT_REGION": _REGION,
        "AWS_REGION": _REGION,
        # boto3 and the CLI: no request to the instance metadata address when keys are missing.
        "AWS_EC2_METADATA_DISABLED": "true",
        **_past_proxies(urlsplit(where["http_url"]).hostname or "127.0.0.1", os.environ),
    }
    if options.iceberg:
        made = iceberg(where["http_url"], where["access_key_id"], where["secret_access_key"])
        show(options.json, made, "\n\n".join(f"# {name}\n{text}" for name, text in made.items()))
        return 0
    if options.profile:
        prose = (
            "[profile lakebed]\n"
            f"endpoint_url = {values['AWS_ENDPOINT_URL']}\nregion = {_REGION}\n"
            f"aws_access_key_id = {values['AWS_ACCESS_KEY_ID']}\n"
            f"aws_secret_access_key = {values['AWS_SECRET_ACCESS_KEY']}"
        )
    else:
        # What another session left behind would win over these keys, or make them wrong.
        prose = "unset AWS_PROFILE AWS_SESSION_TOKEN\n" + "\n".join(
            f"export {key}={value}" for key, value in values.items()
        )
    show(options.json, values, prose)
    return 0


def _past_proxies(host: str, environ: Mapping[str, str]) -> dict[str, str]:
    """NO_PROXY in both spellings, what it said kept, where a proxy is set."""
    if not any(environ.get(name) for name in _PROXIES):
        return {}
    known = ",".join(filter(None, (environ.get("no_proxy"), environ.get("NO_PROXY")))).split(",")
    names = dict.fromkeys(name.strip() for name in [*known, host, "localhost", ".localhost"])
    # A shell evaluates what is printed: a name has no other characters than these.
    told = ",".join(name for name in names if name and all(each.isalnum() or each in ".-:_/[]" for each in name))
    return {"NO_PROXY": told, "no_proxy": told}


def iceberg(url: str, key: str, secret: str) -> dict[str, str]:
    """The settings by client."""
    port = urlsplit(url).port
    trino = {
        "connector.name": "iceberg",
        "iceberg.catalog.type": "rest",
        "iceberg.rest-catalog.uri": f"{url}/iceberg",
        "iceberg.rest-catalog.security": "SIGV4",
        "iceberg.rest-catalog.signing-name": "glue",
        "fs.native-s3.enabled": "true",
        "s3.endpoint": url,
        "s3.region": _REGION,
        "s3.path-style-access": "true",
        "s3.aws-access-key": key,
        "s3.aws-secret-key": secret,
    }
    rest = {
        "type": "rest",
        "uri": f"{url}/iceberg",
        "rest.sigv4-enabled": "true",
        "rest.signing-name": "glue",
        "rest.signing-region": _REGION,
    }
    python = {
        **rest,
        "s3.endpoint": url,
        "s3.region": _REGION,
        "s3.access-key-id": key,
        "s3.secret-access-key": secret,
        "client.access-key-id": key,
        "client.secret-access-key": secret,
        "client.region": _REGION,
    }
    spark = {
        "spark.sql.catalog.lakebed": "org.apache.iceberg.spark.SparkCatalog",
        **{f"spark.sql.catalog.lakebed.{name}": value for name, value in rest.items()},
        "spark.sql.catalog.lakebed.rest.access-key-id": key,
        "spark.sql.catalog.lakebed.rest.secret-access-key": secret,
        "spark.sql.catalog.lakebed.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "spark.sql.catalog.lakebed.client.region": _REGION,
        "spark.sql.catalog.lakebed.s3.endpoint": url,
        "spark.sql.catalog.lakebed.s3.path-style-access": "true",
        "spark.sql.catalog.lakebed.s3.access-key-id": key,
        "spark.sql.catalog.lakebed.s3.secret-access-key": secret,
    }
    return {
        "PyIceberg (~/.pyiceberg.yaml)": "catalog:\n  lakebed:\n"
        + "\n".join(f'    {name}: "{value}"' for name, value in python.items()),
        "DuckDB (its extension reads service and region from the host's name)": (
            "INSTALL iceberg; LOAD iceberg; INSTALL httpfs; LOAD httpfs;\n"
            f"CREATE SECRET lakebed (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION '{_REGION}',\n"
            f"  ENDPOINT '{urlsplit(url).netloc}', URL_STYLE 'path', USE_SSL false);\n"
            "ATTACH ':' AS lakebed (TYPE iceberg, SECRET lakebed, AUTHORIZATION_TYPE 'sigv4',\n"
            f"  ENDPOINT 'http://glue.{_REGION}.localhost:{port}/iceberg');"
        ),
        "Spark (spark-defaults.conf)": "\n".join(f"{name} {value}" for name, value in spark.items()),
        "Trino (etc/catalog/lakebed.properties)": "\n".join(f"{name}={value}" for name, value in trino.items()),
    }
