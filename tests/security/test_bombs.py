"""Small inputs that want much: archives, compression, XML, JSON, CBOR, MQTT, policies, patterns. Each is answered soon, with
an error or a bounded result, in bounded memory, while the server goes on.
"""

# ruff: noqa: E501, PT012, PT030 - tables of attacks are kept whole

from __future__ import annotations

import contextlib
import gzip
import io
import json
import socket
import ssl
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.security.stage import MARK, Stage, document, package
from tests.security.test_signatures import send, signed

SECONDS_MAX = 20.0  # the machine may be shared; alone each takes well below a second
GROWTH_MAX = 256 << 20


def memory(stage: Stage) -> int:
    return int(Path(f"/proc/{stage.server.address['pid']}/statm").read_text().split()[1]) * 4096


@contextlib.contextmanager
def bounded(stage: Stage) -> Iterator[None]:
    """In time, in memory, and the server answers afterwards."""
    before, began = memory(stage), time.monotonic()
    yield
    assert time.monotonic() - began < SECONDS_MAX
    assert memory(stage) - before < GROWTH_MAX
    assert stage.client("s3").head_bucket(Bucket=f"{MARK}-bucket")


def refused(call: Callable[..., Any], **given: Any) -> ClientError:
    with pytest.raises(ClientError) as error:
        call(**given)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] < 500 or (
        error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    ), error.value
    return error.value


# --- archives ------------------------------------------------------------------------------------------------------------


def archive(*entries: tuple[str, bytes], mode: int | None = None, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as out:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            if mode is not None:
                info.external_attr = mode << 16
            out.writestr(info, content)
    return made.getvalue()


def lying(size: int) -> bytes:
    """An archive whose directory says that its one file is small."""
    good = bytearray(archive(("app.py", b"\0" * (8 << 20))))
    at = good.rindex(b"PK\x01\x02")
    struct.pack_into("<I", good, at + 24, size)
    return bytes(good)


def overlapping(count: int) -> bytes:
    """Many directory entries for one compressed body (after D. Fifield's better zip bomb)."""
    body = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = b"\0" * (10 << 20)
    packed = body.compress(content) + body.flush()
    crc = zlib.crc32(content)
    local = (
        struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 8, 0, 0, crc, len(packed), len(content), 1, 0)
        + b"a"
        + packed
    )
    entries = b"".join(
        struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            b"PK\x01\x02",
            20,
            20,
            0,
            8,
            0,
            0,
            crc,
            len(packed),
            len(content),
            5,
            0,
            0,
            0,
            0,
            0,
            0,
        )
        + b"%05d" % at
        for at in range(count)
    )
    end = struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", 0, 0, min(count, 65535), min(count, 65535), len(entries), len(local), 0
    )
    return local + entries + end


def nested() -> bytes:
    inner = archive(("x", b"\0" * (1 << 20)))
    for _ in range(6):
        inner = archive(*[(f"{at}.zip", inner) for at in range(10)])
    return inner


ZIPS: dict[str, Callable[[], bytes]] = {
    "traversal": lambda: archive(("../../evil.py", b"x")), "traversal inside": lambda: archive(("a/../../evil.py", b"x")),
    "absolute": lambda: archive(("/tmp/lakebed-evil", b"x")), "backslash": lambda: archive(("..\\evil.py", b"x")),
    "drive": lambda: archive(("C:\\evil", b"x")), "dots": lambda: archive(("..", b"x")), "dot": lambda: archive(("./app.py", b"x")),
    "symlink": lambda: archive(("link", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777),
    "symlink folder": lambda: archive(("link", b"/etc"), ("link/passwd", b"x"), mode=stat.S_IFLNK | 0o777),
    "device": lambda: archive(("dev", b""), mode=stat.S_IFCHR | 0o666), "fifo": lambda: archive(("fifo", b""), mode=stat.S_IFIFO | 0o666),
    "nul": lambda: archive(("app.py\0.txt", b"x")).replace(b"app.py\0", b"app.py\0"),
    "long": lambda: archive(("x" * 5000, b"x")), "deep": lambda: archive(("d/" * 2000 + "x", b"x")),
    "many": lambda: overlapping(60_000), "huge": lambda: lying(300 << 20),
    "lying": lambda: lying(10), "overlapping": lambda: overlapping(1000), "file and folder": lambda: archive(("a", b"x"), ("a/b", b"x")),
    "twice": lambda: archive(("app.py", b"a"), ("app.py", b"b")), "cut": lambda: archive(("app.py", b"x" * 1000))[:-30],
    "noise": lambda: b"PK\x03\x04" + bytes(range(256)) * 40, "empty": lambda: archive(), "no zip": lambda: b"x" * 1000,
    "bzip2": lambda: archive(("app.py", b"\0" * (40 << 20)), method=zipfile.ZIP_BZIP2),
    "lzma": lambda: archive(("app.py", b"\0" * (16 << 20)), method=zipfile.ZIP_LZMA),
}  # fmt: skip
_HARMLESS = {"twice", "bzip2", "lzma", "nul", "dot"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("what", ZIPS)
def test_packages(stage: Stage, what: str) -> None:
    functions, made = stage.client("lambda"), ZIPS[what]()
    given = {
        "FunctionName": f"zip-{what.replace(' ', '-')}", "Runtime": "python3.11", "Role": stage.names["role"],
        "Handler": "app.handler", "Code": {"ZipFile": made},
    }  # fmt: skip
    with bounded(stage):
        if what in _HARMLESS:
            with contextlib.suppress(ClientError):
                functions.create_function(**given)
        else:
            refused(functions.create_function, **given)
    assert not Path("/tmp/lakebed-evil").exists()
    for path in (stage.server.data / "scratch" / "lambda").rglob("*"):
        assert not path.is_symlink()
        assert path.is_file() or path.is_dir()
        assert path.name not in ("evil.py", "passwd")


def test_an_archive_of_archives_is_one_level(stage: Stage) -> None:
    with bounded(stage):
        made = stage.client("lambda").create_function(
            FunctionName="zip-nested",
            Runtime="python3.11",
            Role=stage.names["role"],
            Handler="app.handler",
            Code={"ZipFile": nested()},
        )
    assert made["CodeSize"] == len(nested())  # kept as it came: what lies inside is opened by nobody


# --- documents -----------------------------------------------------------------------------------------------------------

_LAUGHS = "".join(f'<!ENTITY l{at} "{f"&l{at - 1};" * 10}">' for at in range(1, 10))
XML = {
    "entities": f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{_LAUGHS}]><Tagging><TagSet><Tag><Key>&l9;</Key><Value>x</Value></Tag></TagSet></Tagging>',
    "external": '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Tagging><TagSet><Tag><Key>&e;</Key><Value>x</Value></Tag></TagSet></Tagging>',
    "parameter": '<!DOCTYPE x [<!ENTITY % e SYSTEM "http://127.0.0.1:1/x"> %e;]><Tagging/>',
    "dtd": '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><Tagging/>', "doctype alone": "<!DOCTYPE x><Tagging><TagSet/></Tagging>",
    "include": '<Tagging xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></Tagging>',
    "deep": "<a>" * 100_000 + "</a>" * 100_000, "deep open": "<a>" * 100_000, "attributes": "<Tagging " + " ".join(f'a{at}="x"' for at in range(50_000)) + "/>",
    "wide": "<Tagging><TagSet>" + "<Tag><Key>a</Key><Value>b</Value></Tag>" * 50_000 + "</TagSet></Tagging>",
    "text": "<Tagging>" + "x" * (4 << 20) + "</Tagging>", "comment": "<Tagging><!--" + "-" * (1 << 20), "cdata": "<Tagging><![CDATA[" + "]" * (1 << 20),
    "utf-7": '<?xml version="1.0" encoding="utf-7"?>+ADw-Tagging/+AD4-', "utf-16": '<?xml version="1.0" encoding="utf-16"?><Tagging/>',
    "nul": "<Tagging>\0</Tagging>", "namespaces": "<Tagging " + " ".join(f'xmlns:n{at}="x"' for at in range(20_000)) + "/>", "empty": "", "space": " " * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("what", XML)
def test_xml(stage: Stage, what: str) -> None:
    target = f"/{MARK}-bucket?tagging"
    body = XML[what].encode()
    with bounded(stage):
        status, answer = send(stage, "PUT", target, signed(stage, "PUT", target, body), body)
    assert 400 <= status < 500 or (what in ("text",) and status < 500), (status, answer[:300])
    assert b"root:" not in answer


JSON = {
    "deep list": b"[" * 200_000, "deep map": b'{"a":' * 200_000, "closed": b"[" * 50_000 + b"]" * 50_000,
    "in a member": b'{"StreamName":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "unknown deep": b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "duplicate": b'{"StreamName":"a","StreamName":"alphamark-stream"}', "huge integer": b'{"Limit":' + b"9" * 100_000 + b"}",
    "huge exponent": b'{"Limit":1e999999999}', "nan": b'{"Limit":NaN}', "infinity": b'{"Limit":-Infinity}', "float": b'{"Limit":1.5}',
    "negative": b'{"Limit":-99999999999999999999}', "surrogate": b'{"StreamName":"\\ud800"}', "not utf-8": b'{"StreamName":"\xff\xfe"}',
    "wide": b"{" + b",".join(b'"k%d":1' % at for at in range(200_000)) + b"}", "long key": b'{"' + b"k" * (8 << 20) + b'":1}',
    "nul": b'{"StreamName":"a\\u0000b"}', "bom": b"\xef\xbb\xbf{}", "list": b"[]", "number": b"1", "string": b'"x"', "null": b"null",
    "tail": b"{} {}", "comment": b"{/**/}", "single quotes": b"{'a':1}", "utf-16": "{}".encode("utf-16"), "empty": b"", "true": b"true",
}  # fmt: skip


@pytest.mark.parametrize("what", JSON)
@pytest.mark.parametrize(("service", "target", "kind"), [
    ("kinesis", "Kinesis_20131202.DescribeStreamSummary", "application/x-amz-json-1.1"), ("sqs", "AmazonSQS.ListQueues", "application/x-amz-json-1.0"),
    ("glue", "AWSGlue.GetTables", "application/x-amz-json-1.1"),
])  # fmt: skip
def test_json(stage: Stage, what: str, service: str, target: str, kind: str) -> None:
    headers = {"X-Amz-Target": target, "Content-Type": kind}
    with bounded(stage):
        status, answer = send(
            stage, "POST", "/", signed(stage, "POST", "/", JSON[what], service=service, headers=headers), JSON[what]
        )
    assert status < 500, (status, answer[:300])


CBOR = {
    "deep": b"\x81" * 100_000, "deep map": b"\xa1\x61a" * 50_000, "huge list": b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", "huge text": b"\x7b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "huge map": b"\xbb\x00\xff\xff\xff\xff\xff\xff\xff", "indefinite": b"\x9f" * 100_000, "tags": b"\xc0" * 100_000 + b"\x00", "shared": b"\xd8\x1c\x81\xd8\x1d\x00",
    "bignum": b"\xc2\x5a\x00\x10\x00\x00" + b"\xff" * (1 << 20), "regex": b"\xd8\x23\x78\x08(a+)+$b!", "fraction": b"\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
    "set": b"\xd9\x01\x02\x81\xa0", "undefined": b"\xf7", "break": b"\xff", "empty": b"", "cut": b"\xa1\x6aStreamN",
}  # fmt: skip


@pytest.mark.parametrize("what", CBOR)
def test_cbor(stage: Stage, what: str) -> None:
    headers = {"X-Amz-Target": "Kinesis_20131202.DescribeStreamSummary", "Content-Type": "application/x-amz-cbor-1.1"}
    with bounded(stage):
        status, answer = send(
            stage, "POST", "/", signed(stage, "POST", "/", CBOR[what], service="kinesis", headers=headers), CBOR[what]
        )
    assert status < 500, (status, answer[:300])


def test_forms(stage: Stage) -> None:
    """The query protocol: many parameters, deep and huge indices, repeated ones."""
    for body in (
        b"Action=ListUsers&Version=2010-05-08&" + b"&".join(b"a.%d=1" % at for at in range(100_000)),
        b"Action=CreateUser&Version=2010-05-08&UserName=x&Tags.member.999999999.Key=a&Tags.member.999999999.Value=b",
        b"Action=CreateUser&Version=2010-05-08&UserName=x&Tags.member.-1.Key=a", b"Action=CreateUser&UserName=x&Tags" + b".member.1" * 20_000 + b"=a",
        b"Action=" + b"A" * 100_000, b"Action=ListUsers&Action=CreateUser&UserName=evil&Version=2010-05-08", b"%" * 100_000, b"&" * 500_000, b"=" * 500_000,
    ):  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        with bounded(stage):
            status, answer = send(
                stage, "POST", "/", signed(stage, "POST", "/", body, service="iam", headers=headers), body
            )
        assert status < 500, (body[:80], answer[:300])


def test_gzip_is_not_undone_for_strangers(stage: Stage) -> None:
    """A request's Content-Encoding is no invitation: bodies are taken as they are."""
    body = gzip.compress(b'{"a":"' + b"x" * (32 << 20) + b'"}', 9)
    for service, target in (("kinesis", "Kinesis_20131202.ListStreams"), ("logs", "Logs_20140328.PutLogEvents")):
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1", "Content-Encoding": "gzip"}
        with bounded(stage):
            status, _ = send(
                stage, "POST", "/", signed(stage, "POST", "/", body, service=service, headers=headers), body
            )
        assert 400 <= status < 500 or status == 200


# --- policies and patterns -----------------------------------------------------------------------------------------------


def test_policy_bombs(stage: Stage) -> None:
    iam = stage.client("iam")
    stars = "*a" * 60
    evil = [
        "[" * 50_000, '{"Statement":' * 20_000, document({"Effect": "Allow", "Action": "s3:" + stars, "Resource": "*"}),
        document(*[{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}] * 90), '{"Statement":[],"Statement":[]}', "null", "[]", "1",
        document({"Effect": "Allow", "Action": ["s3:*"] * 600, "Resource": "*"}),
        document({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringLike": {"aws:x": ["*a" * 100] * 20}}}),
        document({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"NumericEquals": {"aws:x": "9" * 4000}}}),
        document({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "::/0" * 500}}}),
    ]  # fmt: skip
    for at, text in enumerate(evil):
        with bounded(stage), contextlib.suppress(ClientError):
            iam.put_user_policy(UserName=f"{MARK}-user", PolicyName=f"bomb{at}", PolicyDocument=text)
    for name in iam.list_user_policies(UserName=f"{MARK}-user")["PolicyNames"]:
        if name.startswith("bomb"):
            iam.delete_user_policy(UserName=f"{MARK}-user", PolicyName=name)


def test_wildcards_in_policies_take_linear_time(stage: Stage) -> None:
    """Patterns of many stars against long names: decided at once."""
    enemy = stage.user("stars", {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{'*a' * 200}*b"})
    with bounded(stage):
        refused(stage.client("s3", enemy).get_object, Bucket=f"{MARK}-bucket", Key="a" * 1000)


REGEXES = ["(a+)+$", "(a|a)*b", "(a|aa)+$", "([a-zA-Z]+)*!", "(.*a){20}", "a{1,1000}{1,1000}", "(" * 2000, "[" * 2000, "*" * 2000, "*a" * 500, "%" * 1000,
           "(?=a)", "\\1", "(?P<x>a)(?P=x)", "^(([a-z])+.)+[A-Z]([a-z])+$", "\x00", "🪣" * 100, "a" * 2000]  # fmt: skip
LONG = "a" * 2000 + "!"


@pytest.mark.parametrize("pattern", REGEXES, ids=range(len(REGEXES)))
def test_patterns(stage: Stage, pattern: str) -> None:
    """Every operation that takes a pattern: log filters, catalogue expressions, prefixes, SQL of rules, event filters."""
    logs, glue, functions, iot = stage.client("logs"), stage.client("glue"), stage.client("lambda"), stage.client("iot")
    if pattern == REGEXES[0]:
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": LONG}, {"timestamp": now, "message": json.dumps({"a": LONG})}]
        logs.create_log_stream(logGroupName=f"{MARK}-group", logStreamName="patterns")
        logs.put_log_events(logGroupName=f"{MARK}-group", logStreamName="patterns", logEvents=events)
        glue.create_table(DatabaseName=f"{MARK}_db", TableInput={"Name": LONG[:200]})
    with bounded(stage):
        for text in (
            pattern,
            f"%{pattern}%",
            f'"{pattern}"',
            f'{{ $.a = "{pattern}" }}',
            f"{{ $.a = %{pattern}% }}",
            f"[a={pattern}, b]",
            f"?{pattern} -x",
        ):
            with contextlib.suppress(ClientError):
                logs.filter_log_events(logGroupName=f"{MARK}-group", filterPattern=text[:1024])
        for call, given in (
            (glue.get_tables, {"DatabaseName": f"{MARK}_db", "Expression": pattern}),
            (stage.client("athena").list_table_metadata, {"CatalogName": "AwsDataCatalog", "DatabaseName": f"{MARK}_db", "Expression": pattern[:256]}),
            (glue.search_tables, {"SearchText": pattern}),
            (glue.get_partitions, {"DatabaseName": f"{MARK}_db", "TableName": f"{MARK}_table", "Expression": f"day LIKE '{pattern}'"}),
            (glue.get_partitions, {"DatabaseName": f"{MARK}_db", "TableName": f"{MARK}_table", "Expression": pattern}),
            (logs.describe_log_groups, {"logGroupNamePattern": pattern[:512]}),
            (iot.create_topic_rule, {"ruleName": "pattern_rule", "topicRulePayload": {
                "sql": f"SELECT regexp_matches(a, '{pattern}') AS x FROM 'patterns' WHERE regexp_matches(a, '{pattern}')", "actions": []}}),
            (functions.create_event_source_mapping, {"EventSourceArn": stage.names["queue_arn"], "FunctionName": f"{MARK}-function", "Enabled": False,
             "FilterCriteria": {"Filters": [{"Pattern": json.dumps({"body": [{"wildcard": pattern}]})}]}}),
            (stage.client("athena").start_query_execution, {"QueryString": f"SHOW TABLES IN {MARK}_db '{pattern.replace(chr(39), '')}'",
             "ResultConfiguration": {"OutputLocation": f"s3://{MARK}-bucket/athena/"}}),
        ):  # fmt: skip
            try:
                call(**given)
            except ClientError as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] < 500 or "NotImplemented" in str(error), (
                    call,
                    error,
                )
        stage.client("iot-data").publish(topic="patterns", payload=json.dumps({"a": LONG}).encode(), qos=1)
    with contextlib.suppress(ClientError):
        iot.delete_topic_rule(ruleName="pattern_rule")


RULES = [
    "SELECT " + "(" * 5000 + "1" + ")" * 5000 + " FROM 'x'", "SELECT " + "a." * 20_000 + "b FROM 'x'", "SELECT * FROM '" + "a/" * 5000 + "'",
    "SELECT " + " + ".join(["1"] * 20_000) + " FROM 'x'", "SELECT " + "NOT " * 20_000 + "true FROM 'x'", "SELECT " + "-" * 20_000 + "1 FROM 'x'",
    "SELECT (SELECT * FROM a) AS b FROM 'x'", "SELECT get_thing_shadow('a','b') FROM 'x'", "SELECT aws_lambda('arn:aws:lambda:us-east-1:111111111111:function:x', *) FROM 'x'",
    "SELECT decode(encode(*, 'base64'), 'base64') FROM 'x'", "SELECT parse_time('yyyy' , 99999999999999999) FROM 'x'", "SELECT power(10, 1000000000) FROM 'x'",
    "SELECT get_secret('x') FROM 'x'", "SELECT * FROM 'x' WHERE " + " AND ".join(["true"] * 20_000), "SELECT 'a' " * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("sql", RULES, ids=range(len(RULES)))
def test_rules(stage: Stage, sql: str) -> None:
    iot = stage.client("iot")
    with bounded(stage):
        try:
            iot.create_topic_rule(ruleName="bomb_rule", topicRulePayload={"sql": sql, "actions": []})
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] < 500, error
        for payload in (
            b"[" * 100_000,
            b'{"a":' * 20_000,
            b"\xff" * 100,
            b"1e999999",
            b'{"a":' + b"9" * 50_000 + b"}",
            b"",
        ):
            stage.client("iot-data").publish(topic="x", payload=payload, qos=1)
    with contextlib.suppress(ClientError):
        iot.delete_topic_rule(ruleName="bomb_rule")


# --- MQTT ----------------------------------------------------------------------------------------------------------------

MQTT = [
    b"\x00" * 100, b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\xff", b"\x10\xff\xff\xff\x7f", b"\x10\x00", b"\x10\x02\x00\xff",
    b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", b"\x10\x0c\x00\x04MQTT\x09\x02\x00\x3c\x00\x00", b"\x10\x0c\x00\x04EVIL\x04\x02\x00\x3c\x00\x00",
    b"\x30\x7f" + b"x" * 127, b"\xc0\x00" * 1000, b"\x10\x14\x00\x04MQTT\x04\x02\x00\x3c\x00\x08ab\xff\xfe\x00cde", b"\xe0\x00", b"\xf0\x00",
    b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x02\x11\xff\x00\x00", b"\x82\x05\x00\x01\x00\x00\x00", b"",
]  # fmt: skip


def device(stage: Stage, tmp_path: Path) -> ssl.SSLSocket:
    (tmp_path / "c.pem").write_text(stage.names["certificate"])
    (tmp_path / "k.pem").write_text(stage.names["private_key"])
    context = ssl.create_default_context(cafile=stage.server.address["mqtt_ca"])
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    plain = socket.create_connection(("127.0.0.1", stage.server.mqtt_port), timeout=3)
    return context.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.parametrize("at", range(len(MQTT)))
def test_mqtt(stage: Stage, tmp_path: Path, at: int) -> None:
    with bounded(stage), contextlib.suppress(OSError), device(stage, tmp_path) as connection:
        connection.settimeout(0.3)
        for _ in range(20):
            connection.sendall(MQTT[at])
        while connection.recv(4096):
            pass


def test_tls(stage: Stage) -> None:
    """Nothing old, nothing in clear, nobody without a certificate of ours."""
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with pytest.warns(DeprecationWarning):
            context.minimum_version = context.maximum_version = version
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", stage.server.mqtt_port), 3) as plain:
            context.wrap_socket(plain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", stage.server.mqtt_port), 3) as plain:
        with context.wrap_socket(plain) as bare:
            bare.sendall(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03abc")
            assert bare.recv(4) not in (b"\x20\x02\x00\x00",)
            raise OSError("refused by protocol")


def test_a_package_of_one_module_still_runs(stage: Stage) -> None:
    functions = stage.client("lambda")
    functions.create_function(
        FunctionName="after-bombs", Runtime="python3.11", Role=stage.names["role"], Handler="app.handler",
        Code={"ZipFile": package("def handler(event, context):\n    return 'alive'\n")},
    )  # fmt: skip
    assert json.load(functions.invoke(FunctionName="after-bombs", Payload=b"{}")["Payload"]) == "alive"
