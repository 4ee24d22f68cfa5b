"""The part of jq that partition keys are made with."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.kernel.errors import AwsError
from lakebed.services.firehose.extraction import ExtractionError, Query

RECORD = json.dumps(
    {
        "type": {"device": "mobile", "event": "Run"},
        "customer id": 7,
        "time": 1565382027.5,
        "iso": "2019-08-09T20:20:27Z",
        "tags": ["a", "b"],
        "none": None,
        "no": False,
        "price": 2.5,
    }
).encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (".type.device", "mobile"),
        ('.["customer id"]', "7"),
        ('."customer id"', "7"),
        (".tags[1]", "b"),
        (".tags[-2]", "a"),
        (".iso[0:4]", "2019"),
        (".iso[:10]", "2019-08-09"),
        ('.time|strftime("%Y/%m/%d")', "2019/08/09"),
        (".iso | fromdate", "1565382027"),
        (".time | floor | todate", "2019-08-09T20:20:27Z"),
        (".type.event|ascii_downcase", "run"),
        ('.none // "unknown"', "unknown"),
        ('.no // .missing // "x"', "x"),
        ("(.none // .price) | tostring", "2.5"),
        ('.iso | split("T") | .[0]', "2019-08-09"),
        ('.type.device | ltrimstr("mo")', "bile"),
        ('.tags.x? // "quiet"', "quiet"),
        ('"fixed"', "fixed"),
        ("5", "5"),
        (".no", "false"),
    ],
)
def test_values(value: str, text: str) -> None:
    assert Query("{ k: " + value + ", d: .type.device }").keys_of(RECORD) == {"k": text, "d": "mobile"}


def test_short_and_quoted_names() -> None:
    assert Query('{time, "p r":.price}').keys_of(RECORD) == {"time": "1565382027.5", "p r": "2.5"}


@pytest.mark.parametrize("query", ["{k:.none}", "{k:.type}", "{k:.tags.x}", "{k:.iso|todate}", "{k:.missing.below}"])
def test_no_usable_value(query: str) -> None:
    with pytest.raises(ExtractionError):
        Query(query).keys_of(RECORD)


@pytest.mark.parametrize(
    "query",
    ["", ".a", "{k:.a | env}", "{k:.a as $x | $x}", "{k:[.a]}", "{k:.a", "{k:.a} | .k", '{k:.a|strftime("%n")}'],
)
def test_the_rest_of_jq_is_refused(query: str) -> None:
    with pytest.raises(AwsError, match="MetadataExtractionQuery"):
        Query(query)


@given(st.text(alphabet='{}()[].,:|?/"ab1- \\', max_size=30), st.binary(max_size=20))
def test_any_query_is_parsed_or_refused(text: str, record: bytes) -> None:
    with suppress(AwsError, ExtractionError):
        assert all(Query(text).keys_of(record))
