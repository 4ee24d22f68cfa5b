"""The Schema Registry: versions that may follow, definitions that mean the same, deletion, notes, tags."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.kernel.errors import AwsError
from lakebed.services.glue import service
from lakebed.services.glue.schemas import avro, json_schema, protobuf
from tests.harness import Harness


@pytest.fixture(autouse=True)
async def glue(harness: Harness) -> Harness:
    harness.add(service)
    await harness.start()
    return harness


def record(*fields: dict[str, Any]) -> str:
    return json.dumps({"type": "record", "name": "Order", "fields": list(fields)})


ID, NOTE = {"name": "id", "type": "long"}, {"name": "note", "type": "string"}
OPTIONAL = {"name": "note", "type": "string", "default": ""}


async def made(harness: Harness, mode: str, definition: str = record(ID), data_format: str = "AVRO") -> dict[str, Any]:
    return await harness.call(
        "glue",
        "CreateSchema",
        SchemaName="orders",
        DataFormat=data_format,
        Compatibility=mode,
        SchemaDefinition=definition,
    )


async def registered(harness: Harness, definition: str) -> tuple[int, str]:
    told = await harness.call(
        "glue", "RegisterSchemaVersion", SchemaId={"SchemaName": "orders"}, SchemaDefinition=definition
    )
    return told["VersionNumber"], told["Status"]


async def refused(harness: Harness, operation: str, **params: Any) -> str:
    with pytest.raises(AwsError) as caught:
        await harness.call("glue", operation, **params)
    return caught.value.error_code


@pytest.mark.parametrize(
    ("mode", "required", "optional", "dropped"),
    [
        ("NONE", "AVAILABLE", "AVAILABLE", "AVAILABLE"),
        ("BACKWARD", "FAILURE", "AVAILABLE", "AVAILABLE"),
        ("FORWARD", "AVAILABLE", "AVAILABLE", "FAILURE"),
        ("FULL", "FAILURE", "AVAILABLE", "FAILURE"),
    ],
)
async def test_a_mode_decides_what_may_follow(
    harness: Harness, mode: str, required: str, optional: str, dropped: str
) -> None:
    """AWS's table: backward may drop fields and add optional ones, forward may add fields, full only optional ones."""
    await made(harness, mode)
    assert await registered(harness, record(ID, NOTE)) == (2, required)
    await harness.call("glue", "DeleteSchema", SchemaId={"SchemaName": "orders"})
    await made(harness, mode)
    assert await registered(harness, record(ID, OPTIONAL)) == (2, optional)
    await harness.call("glue", "DeleteSchema", SchemaId={"SchemaName": "orders"})
    await made(harness, mode, record(ID, NOTE))
    assert await registered(harness, record(ID)) == (2, dropped)


async def test_all_looks_back_to_the_checkpoint(harness: Harness) -> None:
    await made(harness, "BACKWARD", record(NOTE))
    assert await registered(harness, record(ID | {"default": 0})) == (2, "AVAILABLE")
    number = {"VersionNumber": 1}
    name = {"SchemaName": "orders"}
    await harness.call("glue", "UpdateSchema", SchemaId=name, Compatibility="BACKWARD_ALL", SchemaVersionNumber=number)
    wrong = record(ID | {"default": 0}, {"name": "note", "type": "int", "default": 0})
    assert await registered(harness, wrong) == (3, "FAILURE")
    await harness.call("glue", "UpdateSchema", SchemaId=name, SchemaVersionNumber={"VersionNumber": 2})
    assert (await harness.call("glue", "GetSchema", SchemaId=name))["SchemaCheckpoint"] == 2
    assert await registered(harness, wrong) == (3, "FAILURE"), "the same definition is the same version"
    other = record(ID | {"default": 0}, {"name": "note", "type": "int", "default": 1})
    assert await registered(harness, other) == (4, "AVAILABLE")


async def test_versions_are_found_by_what_they_mean(harness: Harness) -> None:
    first = await made(harness, "NONE")
    assert (first["RegistryName"], first["LatestSchemaVersion"], first["NextSchemaVersion"]) == (
        "default-registry",
        1,
        2,
    )
    spaced = json.dumps(json.loads(record(ID)), indent=4)
    assert await registered(harness, spaced) == (1, "AVAILABLE")
    name = {"SchemaName": "orders"}
    found = await harness.call("glue", "GetSchemaByDefinition", SchemaId=name, SchemaDefinition=spaced)
    assert found["SchemaVersionId"] == first["SchemaVersionId"]
    told = await harness.call("glue", "GetSchemaVersion", SchemaVersionId=first["SchemaVersionId"])
    assert (told["SchemaDefinition"], told["VersionNumber"], told["DataFormat"]) == (record(ID), 1, "AVRO")
    latest = await harness.call("glue", "GetSchemaVersion", SchemaId=name, SchemaVersionNumber={"LatestVersion": True})
    assert latest == told
    missing = {"SchemaId": name, "SchemaDefinition": record(NOTE)}
    assert await refused(harness, "GetSchemaByDefinition", **missing) == "EntityNotFoundException"


async def test_disabled_takes_one_version(harness: Harness) -> None:
    await made(harness, "DISABLED")
    again = {"SchemaId": {"SchemaName": "orders"}, "SchemaDefinition": record(NOTE)}
    assert await refused(harness, "RegisterSchemaVersion", **again) == "InvalidInputException"


@pytest.mark.parametrize(
    ("data_format", "good", "bad"),
    [
        ("AVRO", record(ID), '{"type": "record"}'),
        ("JSON", '{"type": "object"}', '{"type": 3}'),
        ("PROTOBUF", 'syntax = "proto3"; message A { int32 a = 1; }', "message A { int32 a = 1 }"),
    ],
)
async def test_validity(harness: Harness, data_format: str, good: str, bad: str) -> None:
    check = {"DataFormat": data_format}
    assert (await harness.call("glue", "CheckSchemaVersionValidity", **check, SchemaDefinition=good))["Valid"] is True
    told = await harness.call("glue", "CheckSchemaVersionValidity", **check, SchemaDefinition=bad)
    assert told["Valid"] is False
    assert data_format in told["Error"]
    new = {"SchemaName": "x", "DataFormat": data_format, "SchemaDefinition": bad}
    assert await refused(harness, "CreateSchema", **new) == "InvalidInputException"
    assert (await harness.call("glue", "ListSchemas"))["Schemas"] == []


async def test_versions_are_listed_compared_and_deleted(harness: Harness) -> None:
    await made(harness, "NONE")
    for number in range(2, 6):
        await registered(harness, record({"name": f"f{number}", "type": "int"}))
    name, found, token = {"SchemaName": "orders"}, [], None
    while True:
        more = {"NextToken": token} if token else {}
        page = await harness.call("glue", "ListSchemaVersions", SchemaId=name, MaxResults=2, **more)
        found += [one["VersionNumber"] for one in page["Schemas"]]
        if (token := page.get("NextToken")) is None:
            break
    assert found == [1, 2, 3, 4, 5]
    diff = await harness.call(
        "glue", "GetSchemaVersionsDiff", SchemaId=name, FirstSchemaVersionNumber={"VersionNumber": 2},
        SecondSchemaVersionNumber={"VersionNumber": 3}, SchemaDiffType="SYNTAX_DIFF",
    )  # fmt: skip
    assert '+{"type": "record", "name": "Order", "fields": [{"name": "f3"' in diff["Diff"]
    errors = (await harness.call("glue", "DeleteSchemaVersions", SchemaId=name, Versions="1-3"))["SchemaVersionErrors"]
    assert [one["VersionNumber"] for one in errors] == [1]
    left = (await harness.call("glue", "ListSchemaVersions", SchemaId=name))["Schemas"]
    assert [one["VersionNumber"] for one in left] == [1, 4, 5]
    assert await refused(harness, "DeleteSchemaVersions", SchemaId=name, Versions="5-4") == "InvalidInputException"
    assert await registered(harness, record(NOTE)) == (6, "AVAILABLE"), "a number is never used twice"


async def test_registries(harness: Harness) -> None:
    one = await harness.call("glue", "CreateRegistry", RegistryName="r", Description="d", Tags={"a": "b"})
    assert await refused(harness, "CreateRegistry", RegistryName="r") == "AlreadyExistsException"
    await harness.call(
        "glue", "CreateSchema", RegistryId={"RegistryName": "r"}, SchemaName="s", DataFormat="JSON", Tags={"k": "v"},
        SchemaDefinition="{}",
    )  # fmt: skip
    assert (await harness.call("glue", "GetTags", ResourceArn=one["RegistryArn"]))["Tags"] == {"a": "b"}
    arn = one["RegistryArn"].replace(":registry/", ":schema/") + "/s"
    await harness.call("glue", "TagResource", ResourceArn=arn, TagsToAdd={"x": "y"})
    assert (await harness.call("glue", "GetTags", ResourceArn=arn))["Tags"] == {"k": "v", "x": "y"}
    assert (await harness.call("glue", "GetSchema", SchemaId={"SchemaArn": arn}))["SchemaName"] == "s"
    await harness.call("glue", "UpdateRegistry", RegistryId={"RegistryArn": one["RegistryArn"]}, Description="e")
    assert (await harness.call("glue", "ListRegistries"))["Registries"][0]["Description"] == "e"
    await harness.call("glue", "DeleteRegistry", RegistryId={"RegistryName": "r"})
    assert await refused(harness, "GetSchema", SchemaId={"SchemaArn": arn}) == "EntityNotFoundException"
    assert await refused(harness, "GetTags", ResourceArn=arn) == "EntityNotFoundException"


async def test_notes_of_a_version(harness: Harness) -> None:
    version = (await made(harness, "NONE"))["SchemaVersionId"]

    async def put(key: str, value: str, operation: str = "PutSchemaVersionMetadata") -> dict[str, Any]:
        pair = {"MetadataKey": key, "MetadataValue": value}
        return await harness.call("glue", operation, SchemaVersionId=version, MetadataKeyValue=pair)

    assert (await put("owner", "a"))["LatestVersion"] is True
    await harness.clock.advance(1)
    await put("owner", "b")
    await put("stage", "test")
    with pytest.raises(AwsError, match="already"):
        await put("owner", "a")
    told = await harness.call("glue", "QuerySchemaVersionMetadata", SchemaVersionId=version)
    owner = told["MetadataInfoMap"]["owner"]
    assert (owner["MetadataValue"], owner["OtherMetadataValueList"][0]["MetadataValue"]) == ("b", "a")
    wanted = [{"MetadataKey": "stage"}]
    some = await harness.call("glue", "QuerySchemaVersionMetadata", SchemaVersionId=version, MetadataList=wanted)
    assert list(some["MetadataInfoMap"]) == ["stage"]
    await put("stage", "test", "RemoveSchemaVersionMetadata")
    with pytest.raises(AwsError, match="not found"):
        await put("stage", "test", "RemoveSchemaVersionMetadata")
    for number in range(8):
        await put(f"k{number}", "v")
    with pytest.raises(AwsError) as full:
        await put("one-too-many", "v")
    assert full.value.error_code == "ResourceNumberLimitExceededException"


OPEN = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.mark.parametrize(
    ("reader", "writer", "good"),
    [
        (OPEN, OPEN, True),
        ({**OPEN, "properties": {"a": {"type": "number"}}}, OPEN, True),
        ({**OPEN, "properties": {"a": {"type": "string"}}}, OPEN, False),
        ({**OPEN, "properties": {**OPEN["properties"], "b": {"type": "string"}}}, OPEN, True),  # type: ignore[dict-item]
        ({**OPEN, "required": ["a", "b"]}, OPEN, False),
        ({**OPEN, "required": []}, OPEN, True),
        ({**OPEN, "additionalProperties": False}, OPEN, False),
        ({"type": "object", "additionalProperties": False}, {**OPEN, "additionalProperties": False}, False),
        ({"enum": ["a", "b", "c"]}, {"enum": ["a", "b"]}, True),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, False),
        ({"type": "integer", "maximum": 10}, {"type": "integer", "maximum": 5}, True),
        ({"type": "integer", "maximum": 5}, {"type": "integer", "maximum": 10}, False),
        ({"type": "array", "items": {"type": "number"}}, {"type": "array", "items": {"type": "integer"}}, True),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"type": "integer"}, True),
        ({"type": "integer"}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}, False),
        ({"$ref": "#/definitions/n", "definitions": {"n": {"type": "number"}}}, {"type": "integer"}, True),
        ({"not": {"type": "string"}}, {"not": {"type": "integer"}}, False),
        ({"pattern": "a"}, {"pattern": "b"}, False),
        (True, {"type": "string"}, True),
        (False, {"type": "string"}, False),
    ],
)  # fmt: skip
def test_json_schemas(reader: Any, writer: Any, good: bool) -> None:
    assert (json_schema.problems(json.dumps(reader), json.dumps(writer)) == []) is good


def test_a_json_schema_may_refer_to_itself() -> None:
    tree = json.dumps({"type": "object", "properties": {"child": {"$ref": "#"}, "n": {"type": "integer"}}})
    wider = tree.replace("integer", "number")
    assert json_schema.problems(wider, tree) == []
    assert json_schema.problems(tree, wider) != []


def proto(*fields: str) -> str:
    return f'syntax = "proto3"; package shop; message Order {{ {" ".join(fields)} }} enum Kind {{ NONE = 0; }}'


@pytest.mark.parametrize(
    ("reader", "writer", "good"),
    [
        (("int64 a = 1;",), ("int32 a = 1;",), True),
        (("string a = 1;",), ("int32 a = 1;",), False),
        (("int32 renamed = 1;",), ("int32 a = 1;",), True),
        (("int32 a = 1;", "string b = 2;"), ("int32 a = 1;",), True),
        ((), ("int32 a = 1;",), True),
        (("repeated int32 a = 1;",), ("int32 a = 1;",), False),
        (("Kind a = 1;",), ("int32 a = 1;",), True),
        (("map<string, int32> a = 1;",), ("map<string, int64> a = 1;",), False),
    ],
)
def test_protobuf(reader: tuple[str, ...], writer: tuple[str, ...], good: bool) -> None:
    assert (protobuf.problems(proto(*reader), proto(*writer)) == []) is good
    assert protobuf.problems(proto(*reader), proto(*writer, "").replace("message Order", "message Bill")) != []


_DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text("ab", max_size=2)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=4,
)
_SCHEMAS = st.recursive(
    st.one_of(
        st.just({}),
        st.sampled_from(["integer", "number", "string", "boolean", "null"]).map(lambda kind: {"type": kind}),
        st.integers(-3, 3).map(lambda bound: {"type": "integer", "minimum": bound}),
        st.lists(st.sampled_from(["a", "b", 1, None]), min_size=1, max_size=2, unique=True).map(
            lambda all_: {"enum": all_}
        ),
    ),
    lambda inner: st.one_of(
        inner.map(lambda items: {"type": "array", "items": items}),
        st.lists(inner, min_size=1, max_size=2).map(lambda branches: {"anyOf": branches}),
        st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(st.sampled_from(["a", "b"]), inner, min_size=2, max_size=2),
                "required": st.lists(st.sampled_from(["a", "b"]), unique=True, max_size=2),
                "additionalProperties": st.just(False),
            }
        ),
    ),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(reader=_SCHEMAS, writer=_SCHEMAS, documents=st.lists(_DOCUMENTS, max_size=8))
def test_a_yes_is_never_wrong(reader: Any, writer: Any, documents: list[Any]) -> None:
    """The oracle is the validator: what the writer's schema takes, a compatible reader's takes too."""
    from jsonschema.validators import Draft7Validator

    if json_schema.problems(json.dumps(reader), json.dumps(writer)):
        return
    for document in documents:
        if Draft7Validator(writer).is_valid(document):
            assert Draft7Validator(reader).is_valid(document), document


_AVRO_LIKE = st.recursive(
    st.none() | st.text("rectypnam", max_size=8),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["type", "name", "fields", "items", "symbols"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | _AVRO_LIKE.map(json.dumps))
def test_no_definition_breaks_a_format(definition: str) -> None:
    from lakebed.services.glue.schemas.formats import InvalidDefinitionError

    for kind in (avro, json_schema, protobuf):
        try:
            assert isinstance(kind.canonical(definition), str)
        except InvalidDefinitionError:
            continue
