"""Every command as a process of its own against a server of its own; one server for the module, started by the rig."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.rig import Server, eventually


def run(data: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lakebed.cli.main", arguments[0], "--data", str(data), *arguments[1:]]
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "LAKEBED_"))
    } | environ
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


def told(data: Path, *arguments: str, code: int = 0) -> Any:
    done = run(data, *arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("cli") / "data"
    data.mkdir()
    (data / "lakebed.toml").write_text("[admin]\nreset = true\n")
    made = Server(data)
    made.start()
    yield made
    assert made.stop() == 0, made.tail()
    assert "Traceback" not in made.tail()


def test_status_tells_where_it_listens_and_how_its_tasks_are(server: Server) -> None:
    document = told(server.data, "status")
    assert document["healthy"] is True
    assert document["http"] == f"http://127.0.0.1:{server.http_port}"
    assert document["mqtt"] == f"127.0.0.1:{server.mqtt_port}"
    assert document["services"]["s3"] > 20
    assert {"house:clock", "kernel:sync"} <= {task["name"] for task in document["tasks"]}
    prose = run(server.data, "status").stdout
    assert "services: " in prose
    assert "0 in trouble" in prose


def test_doctor_examines_the_machine_and_the_server(server: Server, tmp_path: Path) -> None:
    checks = {check["check"]: check for check in told(server.data, "doctor")}
    assert checks["server"] == {"check": "server", "ok": True, "detail": "answers and is healthy"}
    assert "ok    server: answers" in run(server.data, "doctor").stdout
    taken = run(tmp_path, "doctor", LAKEBED_HTTP_PORT=str(server.http_port), LAKEBED_MQTT_PORT="0")
    assert taken.returncode == 1
    assert f"FAIL  http port: 127.0.0.1:{server.http_port}" in taken.stdout
    (tmp_path / "address.json").write_text(json.dumps(server.address | {"http_port": 1}))  # its server was killed
    stale = run(tmp_path, "doctor")
    assert stale.returncode == 1
    assert "FAIL  server: " in stale.stdout


def test_env_points_a_shell_and_a_profile_here(server: Server) -> None:
    url = f"http://127.0.0.1:{server.http_port}"
    exported = run(server.data, "env").stdout
    shown = subprocess.run(
        ["sh", "-c", exported + "echo $AWS_ENDPOINT_URL"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == url
    assert told(server.data, "env")["AWS_ACCESS_KEY_ID"] == "test"
    profile = run(server.data, "env", "--profile").stdout
    assert profile.startswith("[profile lakebed]\n")
    assert f"endpoint_url = {url}\n" in profile


def test_env_leads_past_a_proxy(server: Server) -> None:
    told_ = run(server.data, "env", HTTPS_PROXY="http://127.0.0.1:9", no_proxy="corp.example,$(x)").stdout
    assert "export NO_PROXY=corp.example,127.0.0.1,localhost,.localhost\n" in told_


def test_env_names_the_iceberg_catalog(server: Server) -> None:
    url = f"http://127.0.0.1:{server.http_port}"
    texts = told(server.data, "env", "--iceberg")
    assert [name.split()[0] for name in texts] == ["PyIceberg", "DuckDB", "Spark", "Trino"]
    assert all(str(server.http_port) in text for text in texts.values())
    assert f'    uri: "{url}/iceberg"\n' in texts["PyIceberg (~/.pyiceberg.yaml)"]


def test_a_quarter_of_an_hour_of_buffering_ends_with_one_command(server: Server) -> None:
    s3, firehose, iam = server.client("s3"), server.client("firehose"), server.client("iam")
    s3.create_bucket(Bucket="buffered")
    trust = {"Effect": "Allow", "Principal": {"Service": "firehose.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName="f", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="f", PolicyName="all", PolicyDocument=policy)
    firehose.create_delivery_stream(
        DeliveryStreamName="slow",
        ExtendedS3DestinationConfiguration={
            "BucketARN": "arn:aws:s3:::buffered",
            "RoleARN": role["Role"]["Arn"],
            "BufferingHints": {"SizeInMBs": 128, "IntervalInSeconds": 900},
        },
    )
    firehose.put_record(DeliveryStreamName="slow", Record={"Data": b"one line\n"})
    before = told(server.data, "clock")
    moved = told(server.data, "clock", "advance", "15m")
    assert 899 < moved["now"] - before["now"] < 960
    eventually(lambda: s3.list_objects_v2(Bucket="buffered")["KeyCount"] == 1, 60, "the buffer was not flushed")
    assert told(server.data, "clock", "scale", "2")["scale"] == 2
    assert told(server.data, "clock", "scale", "1")["scale"] == 1
    assert "from this machine, scale 1)" in run(server.data, "clock", "show").stdout


def test_logs_and_requests(server: Server) -> None:
    server.client("sqs").create_queue(QueueName="seen")
    eventually(
        lambda: any(row["operation"] == "CreateQueue" for row in told(server.data, "logs", "--requests")), 30, "no row"
    )
    assert "CreateQueue" in run(server.data, "logs", "--requests").stdout
    assert told(server.data, "logs")[0]["event"] == "listening"
    assert len(told(server.data, "logs", "--requests", "--limit", "1")) == 1


def test_a_backup_under_load_becomes_a_server_of_its_own(server: Server, tmp_path: Path) -> None:
    kinesis, s3 = server.client("kinesis"), server.client("s3")
    kinesis.create_stream(StreamName="busy", ShardCount=1)
    s3.create_bucket(Bucket="busy")
    done = threading.Event()
    before: list[int] = []
    count = 0

    def write() -> None:
        nonlocal count
        while not done.is_set():
            s3.put_object(Bucket="busy", Key=f"{count:06}", Body=b"%d" % count * 100)
            kinesis.put_record(StreamName="busy", Data=b"%d" % count, PartitionKey="p")
            count += 1

    writer = threading.Thread(target=write)
    writer.start()
    eventually(lambda: count > 20, 60, "nothing is written")
    before.append(count)
    document = told(server.data, "backup", str(tmp_path / "b.tar"))
    after = count
    done.set()
    writer.join()
    assert document["files"] > 20
    assert told(tmp_path / "again", "restore", str(tmp_path / "b.tar"))["files"] == document["files"]
    again = Server(tmp_path / "again")
    again.start()
    try:
        keys = [
            entry["Key"]
            for page in again.client("s3").get_paginator("list_objects_v2").paginate(Bucket="busy")
            for entry in page.get("Contents", [])
        ]
        assert keys == [f"{number:06}" for number in range(len(keys))], "an instant, without holes"
        assert before[0] <= len(keys) <= after + 1
        for key in keys[:: max(1, len(keys) // 20)]:
            body = again.client("s3").get_object(Bucket="busy", Key=key)["Body"].read()
            assert body == b"%d" % int(key) * 100
        shard = again.client("kinesis").get_shard_iterator(
            StreamName="busy", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = again.client("kinesis").get_records(ShardIterator=shard, Limit=10_000)["Records"]
        assert [record["Data"] for record in records] == [b"%d" % number for number in range(len(records))]
        assert len(keys) - 1 <= len(records) <= len(keys)
    finally:
        again.stop()
    at_rest = told(tmp_path / "again", "backup", str(tmp_path / "rest.tar"))
    assert at_rest["files"] >= len(keys)
    assert run(tmp_path / "again", "restore", str(tmp_path / "b.tar")).returncode == 1


def test_reset_empties_a_server_that_allows_it(server: Server) -> None:
    server.client("s3").create_bucket(Bucket="to-be-gone")
    assert told(server.data, "reset") == {"status": "reset"}
    assert server.client("s3").list_buckets()["Buckets"] == []


def test_after_kill_9_everything_made_through_the_api_is_there(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.start()
    try:
        server.client("s3").create_bucket(Bucket="kept")
        server.client("s3").put_object(Bucket="kept", Key="k", Body=b"body")
        server.client("iam").create_user(UserName="kept")
        server.client("sqs").create_queue(QueueName="kept")
        server.client("glue").create_database(DatabaseInput={"Name": "kept"})
        server.client("iot").create_thing(thingName="kept")
        server.client("logs").create_log_group(logGroupName="kept")
        server.kill()
        off = run(server.data, "reset")
        assert (off.returncode, "does not answer" in off.stderr) == (3, True)
        server.start()
        assert server.client("s3").get_object(Bucket="kept", Key="k")["Body"].read() == b"body"
        assert server.client("iam").get_user(UserName="kept")["User"]["UserName"] == "kept"
        assert len(server.client("sqs").list_queues()["QueueUrls"]) == 1
        assert server.client("glue").get_database(Name="kept")["Database"]["Name"] == "kept"
        assert server.client("iot").describe_thing(thingName="kept")["thingName"] == "kept"
        assert len(server.client("logs").describe_log_groups()["logGroups"]) == 1
        off = run(server.data, "reset")
        assert (off.returncode, "reset is off" in off.stderr) == (1, True)
    finally:
        server.stop()


@pytest.mark.parametrize("command", ["status", "env", "clock", "logs", "reset"])
def test_nothing_runs(tmp_path: Path, command: str) -> None:
    done = run(tmp_path, command)
    assert done.returncode == 3
    assert done.stderr == f"lakebed: no Lakebed runs on {tmp_path} (start one with `lakebed up`)\n"
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nonsense",), "invalid choice"),
        (("clock", "advance"), "needs a value"),
        (("clock", "advance", "soon"), "is not a duration"),
        (("clock", "scale", "fast"), "is not a factor"),
        (("up", "--config", "/does/not/exist.toml"), "does not exist"),
        (("up", "--port", "many"), "invalid int"),
        (("backup",), "required: archive"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / "lakebed.toml").write_text("[http]\nprot = 1\n")
    done = run(tmp_path, "up")
    assert (done.returncode, "prot" in done.stderr) == (2, True)
    (tmp_path / "lakebed.toml").write_text("[services.kinesys]\nx = 1\n")
    done = run(tmp_path, "up", "--port", "0", "--mqtt-port", "0")
    assert (done.returncode, "[services.kinesys]: there is no such section" in done.stderr) == (2, True)


def test_there_is_nothing_to_back_up_or_restore(tmp_path: Path) -> None:
    assert run(tmp_path, "backup", str(tmp_path / "b.tar")).returncode == 1
    done = run(tmp_path / "new", "restore", str(tmp_path / "absent.tar"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
