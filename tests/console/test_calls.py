"""What a page offers to copy is what a shell and Python understand."""

from __future__ import annotations

import ast
import shlex

from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.console.calls import Call
from lakebed.console.figures import dollars, instant, span

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=60)


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
def test_a_shell_gives_back_every_value(sql: str, place: str) -> None:
    params = {"QueryString": sql, "ResultConfiguration": {"OutputLocation": place}, "MaxResults": 5}
    words = shlex.split(Call("athena", "StartQueryExecution", params).cli().replace(" \\\n  ", " "))
    assert words[:3] == ["aws", "athena", "start-query-execution"]
    assert words[words.index("--query-string") + 1] == sql.replace(" \\\n  ", " ")


@settings(max_examples=40, deadline=None)
@given(TEXTS)
def test_python_gives_back_every_value(sql: str) -> None:
    tree = ast.parse(Call("athena", "StartQueryExecution", {"QueryString": sql}).boto3(), mode="eval")
    assert isinstance(tree.body, ast.Call)
    assert ast.literal_eval(tree.body.keywords[0].value) == sql


def test_names_are_those_of_the_cli() -> None:
    assert (
        Call("s3", "ListObjectsV2", {"Bucket": "b", "MaxKeys": 5}).cli()
        == "aws s3api list-objects-v2 --bucket b --max-keys 5"
    )
    assert "--stream-arn a" in Call("kinesis", "ListStreamConsumers", {"StreamARN": "a"}).cli()
    assert (
        Call("logs", "GetLogEvents", {"startFromHead": False}).cli() == "aws logs get-log-events --no-start-from-head"
    )
    assert Call("sqs", "GetQueueAttributes", {"AttributeNames": ["All"]}).boto3() == (
        "boto3.client(\"sqs\").get_queue_attributes(AttributeNames=['All'])"
    )


def test_figures() -> None:
    assert dollars(1e-9) == "less than $0.0000001"
    assert dollars(0.0000477) == "$0.0000477"
    assert span(0) == "0 s"
    assert instant(86400 * 2 + 5, 86400 * 2 + 3.25) == "00:00:03.250"
    assert instant(86400 * 2, 86400 * 1.5) == "1970-01-02 12:00:00.000"
