"""Logs by Grok: the built-in formats in Glue's order, and custom classifiers.

Every line of the sample must match a custom pattern, nine of ten a built-in one. Columns are the captures, strings unless
the pattern says ``:int`` and the like. https://docs.aws.amazon.com/glue/latest/dg/custom-classifier.html
"""

from __future__ import annotations

import re
from typing import Any

from lakebed.engines.sql_duckdb.deserialise import regex_of
from lakebed.engines.sql_duckdb.inspection.sample import Sample
from lakebed.lake import grok

_LINES, _CHARS = 100, 8192
_BUILT_IN = 0.9
_TYPED = re.compile(r"%\{\w+:([\w.@\-\[\]]+):(\w+)[^}]*\}")
_TYPES = {"int": "int", "long": "bigint", "short": "smallint", "byte": "tinyint", "float": "float", "double": "double",
          "boolean": "boolean", "string": "string", "date": "string", "timestamp": "timestamp"}  # fmt: skip
_FORMATS = (
    ("combined_apache", "%{COMBINEDAPACHELOG}"),
    ("apache", "%{COMMONAPACHELOG}"),
    ("linux_kernel", (r"%{SYSLOGTIMESTAMP:timestamp} %{SYSLOGHOST:logsource} %{PROG:program}: \[\s*%{NUMBER:uptime}\] "
                     r"%{GREEDYDATA:message}")),
    ("microsoft_log", (r"%{IPORHOST:clientip}, %{DATA:username}, %{DATE_US:date}, %{TIME:time}, %{WORD:service}, "
                      r"%{DATA:servername}, %{IP:serverip}, %{GREEDYDATA:rest}")),
    ("ruby_logger", (r"[DFEWIA], \[%{TIMESTAMP_ISO8601:timestamp} #%{POSINT:pid}\] *%{LOGLEVEL:loglevel} -- *"
                    r"%{DATA:progname}: %{GREEDYDATA:message}")),
    ("squid", (r"%{NUMBER:timestamp}\s+%{INT:duration}\s%{IP:client_address}\s%{WORD:cache_result}/%{POSINT:status_code}\s"
              r"%{INT:bytes}\s%{WORD:request_method}\s%{NOTSPACE:url}\s%{NOTSPACE:user}\s%{WORD:hierarchy_code}/"
              r"%{NOTSPACE:server}\s%{NOTSPACE:content_type}")),
    ("redismonlog", (r"%{NUMBER:timestamp} \[%{INT:database} %{IP:client}:%{NUMBER:port}\] \"%{WORD:command}\"\s?"
                    r"%{GREEDYDATA:params}")),
    ("redislog", r"\[%{POSINT:pid}\] %{MONTHDAY:day} %{MONTH:month} %{TIME:time} \* %{GREEDYDATA:message}"),
)  # fmt: skip


def classify(sample: Sample) -> dict[str, Any] | None:
    """The first built-in format that fits."""
    for name, pattern in _FORMATS:
        found = _by(sample, name, pattern, "", _BUILT_IN)
        if found is not None:
            return found
    return None


def classify_custom(sample: Sample, one: dict[str, Any]) -> dict[str, Any] | None:
    """A custom classifier's pattern."""
    return _by(sample, one["Classification"], one["GrokPattern"], one.get("CustomPatterns", ""), 1.0)


def _by(sample: Sample, name: str, pattern: str, custom: str, least: float) -> dict[str, Any] | None:
    text = sample.text
    if text is None:
        return None
    lines = [line[:_CHARS] for line in text.splitlines() if line.strip()]
    sought = lines[:_LINES]
    try:
        expanded, fields = grok.expand(pattern, grok.custom(custom))
        found = regex_of(expanded)
    except grok.GrokError:
        return None
    fits = sum(found.fullmatch(line) is not None for line in sought)
    if not sought or fits < least * len(sought):
        return None
    inner = _inner_fields(pattern, fields)
    types = {field.lower(): _TYPES.get(kind, "string") for field, kind in _TYPED.findall(pattern)}
    columns = [(field, types.get(field, "string")) for field in inner]
    options = {"grok": pattern, "custom_patterns": custom}
    return {
        "classification": name, "columns": columns, "options": options,
        "records": sample.records(len(lines), len(text.encode())),
    }  # fmt: skip


def _inner_fields(pattern: str, fields: list[str]) -> list[str]:
    """Each named capture once; the pattern's own name is no column where it only holds others."""
    whole = set(re.findall(r"%\{(\w+)\}", pattern)) if len(fields) > 1 else set()
    return list(dict.fromkeys(field.lower() for field in fields if field not in whole))
