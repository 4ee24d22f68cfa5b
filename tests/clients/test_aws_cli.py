"""The AWS CLI, as a program: s3 cp and sync, sqs, athena, kinesis, lambda."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.crash.rig import Server


def cli(environment: dict[str, str], *arguments: str, fails: bool = False) -> Any:
    # Version 1 of the CLI puts SQS's own old host name over AWS_ENDPOINT_URL; only the option beats that.
    endpoint = ["--endpoint-url", environment["AWS_ENDPOINT_URL"]] if arguments[0] == "sqs" else []
    done = subprocess.run(
        [str(Path(sys.executable).parent / "aws"), *endpoint, *arguments, "--output", "json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stderr
    if fails:
        return done.stderr
    return json.loads(done.stdout) if done.stdout.lstrip().startswith(("{", "[")) else done.stdout


def test_s3_copies_and_syncs(aws: dict[str, str], tmp_path: Path) -> None:
    cli(aws, "s3", "mb", "s3://cli-bucket")
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "a b+ü.txt").write_text("hello")
    (source / "deep" / "large.bin").write_bytes(os.urandom(9 << 20))
    cli(aws, "s3", "sync", str(source), "s3://cli-bucket/x/")
    listed = cli(aws, "s3api", "list-objects-v2", "--bucket", "cli-bucket")
    assert sorted(entry["Key"] for entry in listed["Contents"]) == ["x/a b+ü.txt", "x/deep/large.bin"]
    cli(aws, "s3", "cp", "--recursive", "s3://cli-bucket/x/", str(tmp_path / "back"))
    for name in ("a b+ü.txt", "deep/large.bin"):
        assert (tmp_path / "back" / name).read_bytes() == (source / name).read_bytes()
    cli(aws, "s3", "rm", "--recursive", "s3://cli-bucket")
    cli(aws, "s3", "rb", "s3://cli-bucket")
    assert "NoSuchBucket" in cli(aws, "s3api", "list-objects-v2", "--bucket", "cli-bucket", fails=True)


def test_sqs_round_trip(aws: dict[str, str]) -> None:
    url = cli(aws, "sqs", "create-queue", "--queue-name", "cli")["QueueUrl"]
    cli(aws, "sqs", "send-message", "--queue-url", url, "--message-body", "grüße")
    [message] = cli(aws, "sqs", "receive-message", "--queue-url", url)["Messages"]
    assert message["Body"] == "grüße"
    cli(aws, "sqs", "delete-message", "--queue-url", url, "--receipt-handle", message["ReceiptHandle"])


def test_kinesis_round_trip(aws: dict[str, str]) -> None:
    cli(aws, "kinesis", "create-stream", "--stream-name", "cli", "--shard-count", "1")
    cli(aws, "kinesis", "wait", "stream-exists", "--stream-name", "cli")
    put = cli(aws, "kinesis", "put-record", "--stream-name", "cli", "--partition-key", "k", "--data", "aGk=")
    place = cli(
        aws, "kinesis", "get-shard-iterator", "--stream-name", "cli",
        "--shard-id", put["ShardId"], "--shard-iterator-type", "TRIM_HORIZON",
    )  # fmt: skip
    [record] = cli(aws, "kinesis", "get-records", "--shard-iterator", place["ShardIterator"])["Records"]
    assert record["SequenceNumber"] == put["SequenceNumber"]


def test_athena_select(aws: dict[str, str]) -> None:
    cli(aws, "s3", "mb", "s3://cli-athena")
    started = cli(
        aws, "athena", "start-query-execution", "--query-string", "SELECT 1 AS one, 'x' AS name",
        "--result-configuration", "OutputLocation=s3://cli-athena/r/",
    )["QueryExecutionId"]  # fmt: skip
    state = ""
    while state not in ("SUCCEEDED", "FAILED"):
        execution = cli(aws, "athena", "get-query-execution", "--query-execution-id", started)["QueryExecution"]
        state = execution["Status"]["State"]
    assert state == "SUCCEEDED", execution
    rows = cli(aws, "athena", "get-query-results", "--query-execution-id", started)["ResultSet"]["Rows"]
    assert [[cell["VarCharValue"] for cell in row["Data"]] for row in rows] == [["one", "name"], ["1", "x"]]
    assert cli(aws, "s3", "cp", f"s3://cli-athena/r/{started}.csv", "-") == '"one","name"\n"1","x"\n'


def test_wrong_secret_and_unbuilt_operation_are_told(aws: dict[str, str], server: Server) -> None:
    wrong = aws | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    assert "SignatureDoesNotMatch" in cli(wrong, "sts", "get-caller-identity", fails=True)
    told = cli(aws, "redshift", "describe-clusters", fails=True)
    assert "redshift" in told.lower()
    assert "DescribeClusters" in told


@pytest.mark.parametrize("command", ["status", "doctor", "env", "clock", "logs"])
def test_lakebed_commands_answer_json(server: Server, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lakebed.cli.main", command, "--data", str(server.data), "--json"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
