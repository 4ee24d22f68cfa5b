"""Every serde and compression over real files: the rows as Athena prints them.

Rules: https://docs.aws.amazon.com/athena/latest/ug/supported-serdes.html and the pages of each; Trino's readers of the same
formats keep Hive's behaviour for blank lines, short rows and values that do not parse.
"""

from __future__ import annotations

import bz2
import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cramjam
import pytest

from lakebed.engines.sql_duckdb import plain, text
from lakebed.engines.sql_duckdb.instance import Instances
from lakebed.engines.sql_duckdb.jobs import answer
from lakebed.services.athena.results import RowReader

Rows = list[list[str | None]]


@pytest.fixture(scope="module")
def instances() -> Instances:
    return Instances()


@pytest.fixture
def ask(instances: Instances, tmp_path: Path) -> Callable[..., Any]:
    """Rows of a query over one table of one file, or the failure's name."""

    def asked(
        data: bytes, form: str, columns: Sequence[tuple[str, str]], options: Mapping[str, str] | None = None,
        sql: str = "SELECT * FROM t", compression: str = "",
    ) -> Any:  # fmt: skip
        path = tmp_path / "data"
        path.write_bytes(data)
        file = {
            "path": str(path),
            "size": len(data),
            "compression": compression,
            "location": "s3://b/k",
            "modified": 1.7e9,
        }
        relation = {"database": "default", "name": "t", "columns": [list(each) for each in columns], "format": form,
                    "options": dict(options or {}), "files": [file]}  # fmt: skip
        request = {"op": "run", "id": "x", "sql": sql, "relations": [relation], "now": 1.7e9,
                   "output": {"directory": str(tmp_path / "out")}}  # fmt: skip
        told = answer(instances, request)
        if "failure" in told:
            return f"{told['failure']['name']}: {told['failure']['message']}"
        return [row for row, _ in RowReader().feed((tmp_path / "out" / "result.csv").read_text(), True)][1:]

    return asked


def test_lazy_simple_blank_short_and_long_lines(ask: Any) -> None:
    columns = [("a", "int"), ("s", "string"), ("b", "boolean"), ("d", "double")]
    data = b"1,x,TRUE,1.5\n\n2,,yes,1_0\r\n3\n4,y,false,2,more\n\\N,\\N,\\N,\\N"
    assert ask(data, "csv", columns, {"field.delim": ","}, "SELECT * FROM t ORDER BY a, s") == [
        ["1", "x", "true", "1.5"], ["2", "", None, None], ["3", None, None, None], ["4", "y", "false", "2.0"],
        [None, None, None, None], [None, None, None, None],
    ]  # fmt: skip
    assert ask(data, "csv", columns, {"field.delim": ","}, "SELECT count(*) FROM t") == [["6"]]
    assert ask(b"h\n\n\nx\n\n", "csv", [("s", "string")], {"skip.header.line.count": "2"}) == [["x"], [""], [""]]


def test_lazy_simple_escapes_and_nesting(ask: Any) -> None:
    columns = [("a", "array<int>"), ("m", "map<string,int>"), ("r", "struct<x:int,y:array<string>>"), ("s", "string")]
    options = {"field.delim": "|", "collection.delim": ",", "mapkey.delim": ":", "escape.delim": "\\"}
    data = b"1,2,x|k:1,l:2,k:3|7,p:q|a\\|b\\\\c\n|||\n\\N|a|1|\\N\n"
    assert ask(data, "csv", columns, options) == [
        ["[1, 2, null]", "{k=1, l=2}", "{x=7, y=[p, q]}", "a|b\\c"], ["[]", "{}", "{x=null, y=null}", ""],
        [None, "{a=null}", "{x=1, y=null}", None],
    ]  # fmt: skip
    rest = {"field.delim": " ", "serialization.last.column.takes.rest": "true"}
    assert ask(b"a b c d\n", "csv", [("x", "string"), ("y", "string")], rest) == [["a", "b c d"]]
    assert "more than one character" in ask(b"a", "csv", [("x", "string")], {"field.delim": "||"})
    assert ask(b"a\tb\n", "csv", [("x", "string"), ("y", "string")], {"field.delim": "9"}) == [["a", "b"]]


def test_lazy_simple_moments_and_null_text(ask: Any) -> None:
    columns = [("t", "timestamp"), ("d", "date"), ("n", "decimal(5,2)"), ("x", "binary")]
    options = {
        "field.delim": ",",
        "serialization.null.format": "-",
        "timestamp.formats": "yyyy-MM-dd'T'HH:mm:ss.SSS,millis",
    }
    data = b"2026-01-02T03:04:05.678,2026-01-02,1.005,YWI=\n1700000000000,x,-,-\n2026-01-02 03:04:05.5,-,12345.6,zz!\n"
    assert ask(data, "csv", columns, options) == [
        ["2026-01-02 03:04:05.678", "2026-01-02", "1.01", "61 62"], ["2023-11-14 22:13:20.000", None, None, None],
        ["2026-01-02 03:04:05.500", None, None, "7a 7a 21"],
    ]  # fmt: skip


def test_opencsv(ask: Any) -> None:
    columns = [("a", "string"), ("b", "string"), ("c", "string")]
    data = b'1,"x,""y""",z\n\n"a\\"b",c\\d,"e\n"lone \\" mark",  "space",q"u"o\nonly\n'
    assert ask(data, "opencsv", columns, None, "SELECT * FROM t WHERE a IS NOT NULL") == [
        ["1", 'x,"y"', "z"], ['a"b', "cd", None], ['lone " mark', "space", 'q"u"o'], ["only", None, None],
    ]  # fmt: skip
    assert ask(data, "opencsv", columns, None, "SELECT count(*) FROM t") == [["5"]]
    marks = {"separatorChar": ";", "quoteChar": "`", "escapeChar": "^"}
    assert ask(b"`a;b`;c^`;d\n", "opencsv", columns, marks) == [["a;b", "c`", "d"]]


def test_opencsv_types(ask: Any) -> None:
    columns = [("n", "int"), ("d", "date"), ("t", "timestamp")]
    assert ask(b'"1","18276","1579059880000"\n', "opencsv", columns) == [["1", "2020-01-15", "2020-01-15 03:44:40.000"]]
    assert ask(b'"","1","1"\n', "opencsv", columns).startswith("HIVE_BAD_DATA: Error parsing field value ''")
    lenient = {"use.null.for.invalid.data": "TRUE"}
    assert ask(b'"","x","1"\n', "opencsv", columns, lenient) == [[None, None, "1970-01-01 00:00:00.001"]]


def test_regex(ask: Any) -> None:
    columns = [("host", "string"), ("size", "int"), ("late", "string"), ("none", "string")]
    options = {"input.regex": r"(\S+) (?<size>\d+|-)(?: (\S++))?"}
    assert ask(b"a 1 x\nb -\nnothing here at all\n\n", "regex", columns, options, "SELECT * FROM t ORDER BY host") == [
        ["a", "1", "x", None], ["b", None, None, None], [None] * 4, [None] * 4,
    ]  # fmt: skip
    ahead = {"input.regex": r"(?=x)(.)(.*)\Q.\E(\p{Alpha}+)"}
    assert ask(b"xab.cd\n", "regex", [*columns[:1], ("b", "string"), ("c", "string")], ahead) == [["x", "ab", "cd"]]
    assert ask(b"x\n", "regex", columns, {"input.regex": "("}).startswith("INVALID_FUNCTION_ARGUMENT")


def test_grok(ask: Any) -> None:
    line = b'127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326 "http://x/" "Moz"\nbad\n'
    columns = [
        ("clientip", "string"),
        ("verb", "string"),
        ("response", "int"),
        ("bytes", "bigint"),
        ("agent", "string"),
    ]
    assert ask(line, "grok", columns, {"input.format": "%{COMBINEDAPACHELOG}"}) == [
        ["127.0.0.1", "GET", "200", "2326", '"Moz"'], [None] * 5,
    ]  # fmt: skip
    post = {"input.grokCustomPatterns": "POSTFIX_QUEUEID [0-9A-F]{7,12}",
            "input.format": "%{SYSLOGBASE} %{POSTFIX_QUEUEID:queue_id}: %{GREEDYDATA:syslog_message}"}  # fmt: skip
    data = b"Feb  9 07:15:00 m4 postfix/smtpd[19305]: B88C4120838: connect from unknown[192.168.55.4]\n"
    named = [("syslogbase", "string"), ("queue_id", "string"), ("syslog_message", "string")]
    assert ask(data, "grok", named, post) == [
        ["Feb  9 07:15:00 m4 postfix/smtpd[19305]:", "B88C4120838", "connect from unknown[192.168.55.4]"]
    ]
    assert "No definition for key" in ask(b"x", "grok", columns, {"input.format": "%{NO_SUCH:a}"})
    assert "without end" in ask(b"x", "grok", columns, {"input.format": "%{A}", "input.grokCustomPatterns": "A %{A}"})


def test_json_dots_mapping_case_and_malformed(ask: Any) -> None:
    columns = [("a_b", "int"), ("ts", "string"), ("name", "string")]
    options = {"dots.in.keys": "true", "mapping.ts": "timestamp"}
    data = b'{"a.b":1,"timestamp":"t1","NAME":"n"}\n{"a_b":2,"timestamp":{"x":1},"NAME":[1,2]}\n'
    assert ask(data, "json", columns, options) == [["1", "t1", "n"], ["2", '{"x":1}', "[1,2]"]]
    broken = b'{"a_b":1}\n{"a_b":\n{"a_b":3}\n'
    assert ask(broken, "json", columns, None).startswith("HIVE_CURSOR_ERROR: Row is not a valid JSON Object")
    lenient = {"ignore.malformed.json": "true"}
    assert ask(broken, "json", columns, lenient, "SELECT a_b FROM t") == [["1"], [None], ["3"]]


def test_cloudtrail(ask: Any) -> None:
    record = {"eventVersion": "1.08", "userIdentity": {"type": "IAMUser", "userName": "ann"}, "eventName": "PutObject",
              "requestParameters": {"bucketName": "b"}, "responseElements": None}  # fmt: skip
    data = json.dumps({"Records": [record, {**record, "eventName": "GetObject"}]}).encode()
    columns = [("eventversion", "string"), ("useridentity", "struct<type:string,username:string>"),
               ("eventname", "string"), ("requestparameters", "string"), ("responseelements", "string")]  # fmt: skip
    sql = "SELECT eventname, useridentity.username, json_extract_scalar(requestparameters, '$.bucketName'), responseelements"
    sql += " FROM t"
    assert ask(gzip.compress(data), "cloudtrail", columns, None, sql, "gzip") == [
        ["PutObject", "ann", "b", None], ["GetObject", "ann", "b", None]
    ]  # fmt: skip


LINES = b"".join(b"%d,name %d\n" % (at, at) for at in range(20_000))


def _hadoop(codec: str, tmp_path: Path) -> bytes:
    (tmp_path / "p").write_bytes(LINES)
    plain.compress(tmp_path / "p", tmp_path / "c", codec)
    return (tmp_path / "c").read_bytes()


@pytest.mark.parametrize(
    ("compression", "made"),
    [
        ("gzip", lambda _: gzip.compress(LINES[:50]) + gzip.compress(LINES[50:])), ("bz2", lambda _: bz2.compress(LINES)),
        ("zstd", lambda _: bytes(cramjam.zstd.compress(LINES))), ("lz4", lambda _: bytes(cramjam.lz4.compress(LINES))),
        ("lz4", lambda place: _hadoop("lz4", place)), ("snappy", lambda _: bytes(cramjam.snappy.compress(LINES))),
        ("snappy", lambda _: bytes(cramjam.snappy.compress_raw(LINES))), ("snappy", lambda place: _hadoop("snappy", place)),
        ("deflate", lambda _: zlib.compress(LINES)), ("deflate", lambda _: zlib.compress(LINES, wbits=-15)),
    ],
)  # fmt: skip
def test_compressed_text(ask: Any, tmp_path: Path, compression: str, made: Callable[[Path], bytes]) -> None:
    data, columns = made(tmp_path), [("a", "int"), ("s", "string")]
    sql = "SELECT count(*), sum(a), max(s) FROM t"
    wanted = [["20000", "199990000", "name 9999"]]
    assert ask(data, "csv", columns, {"field.delim": ","}, sql, compression) == wanted
    cut = ask(data[: len(data) // 2], "csv", columns, {"field.delim": ","}, sql, compression)
    assert cut == "HIVE_CURSOR_ERROR: a data file of the table cannot be read in its declared format"
    with pytest.raises(plain.SqlFailure, match="EXCEEDED_LOCAL_MEMORY_LIMIT"):
        plain.write_plain(tmp_path / "data2", tmp_path / "t", compression, 1000, lambda: None) if (
            (tmp_path / "data2").write_bytes(data)
        ) else None


def test_compressed_json(ask: Any) -> None:
    data = b'{"a":1}\n{"a":2}\n'
    for compression, made in (("", data), ("gzip", gzip.compress(data)), ("bz2", bz2.compress(data))):
        assert ask(made, "json", [("a", "int")], None, "SELECT sum(a) FROM t", compression) == [["3"]]


ROWS = {
    "a": [1, 2, None],
    "s": ["x", None, "y"],
    "n": [[1], [], None],
    "m": [{"p": 1, "q": "u"}, None, {"p": None, "q": "w"}],
}
COLUMNS = [("a", "int"), ("s", "string"), ("n", "array<bigint>"), ("m", "struct<p:int,q:string>")]
SHOWN = [["1", "x", "[1]", "{p=1, q=u}"], ["2", None, "[]", None], [None, "y", None, "{p=null, q=w}"]]


def test_orc_by_position_and_by_name(ask: Any, tmp_path: Path) -> None:
    pa, orc = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.orc")
    orc.write_table(pa.table(ROWS), str(tmp_path / "o.orc"), compression="zlib")
    data = (tmp_path / "o.orc").read_bytes()
    assert ask(data, "orc", COLUMNS) == SHOWN
    renamed = [("x", "bigint"), *COLUMNS[1:], ("z", "string")]
    assert ask(data, "orc", renamed, None, "SELECT x, z FROM t") == [["1", None], ["2", None], [None, None]]
    by_name = {"orc.column.index.access": "false"}
    assert ask(data, "orc", [("s", "string"), ("a", "int")], by_name) == [["x", "1"], [None, "2"], ["y", None]]
    assert ask(data, "orc", COLUMNS, None, 'SELECT count(*), max("$path") FROM t') == [["3", "s3://b/k"]]
    assert ask(data[:50], "orc", COLUMNS).startswith("HIVE_CURSOR_ERROR")


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "bzip2"])
def test_avro(ask: Any, tmp_path: Path, codec: str) -> None:
    fastavro = pytest.importorskip("fastavro")
    inner = {
        "type": "record",
        "name": "i",
        "fields": [{"name": "P", "type": ["null", "int"]}, {"name": "q", "type": "string"}],
    }
    schema = {"type": "record", "name": "r", "fields": [
        {"name": "A", "type": ["null", "int"]}, {"name": "s", "type": ["null", "string"]},
        {"name": "n", "type": ["null", {"type": "array", "items": "long"}]}, {"name": "m", "type": ["null", inner]}]}  # fmt: skip
    records = [dict(zip("AsnM", row, strict=True)) for row in zip(*ROWS.values(), strict=True)]
    records = [
        {"A": r["A"], "s": r["s"], "n": r["n"], "m": r["M"] and {"P": r["M"]["p"], "q": r["M"]["q"]}} for r in records
    ]
    with (tmp_path / "x.avro").open("wb") as out:
        fastavro.writer(out, fastavro.parse_schema(schema), records, codec=codec)
    data = (tmp_path / "x.avro").read_bytes()
    assert ask(data, "avro", COLUMNS) == SHOWN
    assert ask(data, "avro", COLUMNS, None, "SELECT count(*) FROM t") == [["3"]]
    assert ask(data[:40], "avro", COLUMNS).startswith("HIVE_CURSOR_ERROR")


def test_parquet_by_position(ask: Any, tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"old": [1, 2], "b": ["x", "y"]}), str(tmp_path / "p"))
    data, columns = (tmp_path / "p").read_bytes(), [("new", "int"), ("b", "string")]
    assert ask(data, "parquet", columns) == [[None, "x"], [None, "y"]]
    assert ask(data, "parquet", columns, {"parquet.column.index.access": "true"}) == [["1", "x"], ["2", "y"]]


def test_hidden_columns(ask: Any) -> None:
    sql = 'SELECT "$path", "$file_size", "$file_modified_time", a FROM t WHERE "$path" LIKE \'s3://b/%\''
    assert ask(b"1\n", "csv", [("a", "int")], None, sql) == [["s3://b/k", "2", "2023-11-14 22:13:20.000 UTC", "1"]]
    assert ask(b"1\n", "csv", [("a", "int")]) == [["1"]]


@pytest.mark.parametrize(
    ("data", "skip", "count"),
    [(b"", 0, 0), (b"\n", 0, 1), (b"a\n", 0, 0), (b"a\n\n", 0, 1), (b"\r\n\r\na", 0, 2), (b"h\n\nx\n\n\n", 2, 2),
     (b"a\r\r\nb", 0, 1), (b"h", 1, 0), (b"h\n\n", 1, 1), (b"x" * (1 << 20) + b"\n\n" + b"y" * 10, 0, 1),
     (b"x" * ((1 << 20) - 1) + b"\n\ny\n", 0, 1)],
)  # fmt: skip
def test_empty_lines_are_counted(tmp_path: Path, data: bytes, skip: int, count: int) -> None:
    (tmp_path / "f").write_bytes(data)
    assert text.empty_lines(tmp_path / "f", skip) == count
