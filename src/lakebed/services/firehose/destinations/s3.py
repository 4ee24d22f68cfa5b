"""The S3 destination's configuration: defaults, AWS's rules, merging of updates. Pure.

https://docs.aws.amazon.com/firehose/latest/APIReference/API_ExtendedS3DestinationConfiguration.html. What is kept is the
description's shape with every default filled in, so that Describe shows what is done. Refused by name (501): KMS
encryption.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import firehose as api
from lakebed.kernel.arn import parse
from lakebed.kernel.errors import AwsError, not_built
from lakebed.lake import joda
from lakebed.services.firehose import expansion, prefix
from lakebed.services.firehose.buffers import Hints
from lakebed.services.firehose.destinations import Settings
from lakebed.services.firehose.extraction import Query

KIND = "s3"
CONFIGURATION = "ExtendedS3DestinationConfiguration"
UPDATE = "ExtendedS3DestinationUpdate"
_BASIC = (
    "RoleARN", "BucketARN", "Prefix", "ErrorOutputPrefix", "BufferingHints", "CompressionFormat", "EncryptionConfiguration",
    "CloudWatchLoggingOptions",
)  # fmt: skip
MIB = 1 << 20
PARTITIONED_SIZE_MIN, CONVERTED_SIZE_DEFAULT = 64, 128
PARTITIONS_MAX = 500  # https://docs.aws.amazon.com/firehose/latest/dev/limits.html
_LAMBDA_DEFAULTS = {"NumberOfRetries": "3", "BufferSizeInMBs": "1", "BufferIntervalInSeconds": "60"}


def complete(given: Settings) -> dict[str, Any]:
    """A checked extended destination with its defaults."""
    made = basic(given)
    for member in ("FileExtension", "CustomTimeZone"):
        if given.get(member):
            made[member] = given[member]
    prefix.zone(given.get("CustomTimeZone", ""))
    made["S3BackupMode"] = given.get("S3BackupMode", "Disabled")
    made["ProcessingConfiguration"] = processing(given.get("ProcessingConfiguration") or {})
    partitioned = _partitioning(given, made)
    converted = _conversion(given, made)
    made["BufferingHints"] = hints(given.get("BufferingHints") or {}, partitioned=partitioned, converted=converted)
    prefix.check_pair(made.get("Prefix", ""), made.get("ErrorOutputPrefix", ""), partitioned=partitioned)
    if made["S3BackupMode"] == "Enabled":
        backup = given.get("S3BackupConfiguration") or given.get("S3BackupDescription")
        if not backup:
            raise api.InvalidArgumentException("S3BackupConfiguration must be specified when S3BackupMode is Enabled.")
        made["S3BackupDescription"] = basic(backup)
        prefix.check_pair(backup.get("Prefix", ""), backup.get("ErrorOutputPrefix", ""), partitioned=False)
    return made


def merged(current: Settings, update: Settings) -> dict[str, Any]:
    """The destination after UpdateDestination: members that are given replace, others stay."""
    if current["S3BackupMode"] == "Enabled" and update.get("S3BackupMode") == "Disabled":
        raise api.InvalidArgumentException("S3BackupMode cannot be changed from Enabled to Disabled.")
    together = {**current, **{key: value for key, value in update.items() if key != "S3BackupUpdate"}}
    if "S3BackupUpdate" in update:
        together["S3BackupDescription"] = {**current.get("S3BackupDescription", {}), **update["S3BackupUpdate"]}
    return complete(together)


def roles(made: Settings) -> list[str]:
    """Every role the destination hands us."""
    found = [made["RoleARN"]]
    if "S3BackupDescription" in made:
        found.append(made["S3BackupDescription"]["RoleARN"])
    if schema := conversion_schema(made):
        found.append(schema["RoleARN"])
    if (transform := lambda_parameters(made)) and "RoleArn" in transform:
        found.append(transform["RoleArn"])
    return list(dict.fromkeys(found))


def bucket_of(settings: Settings) -> str:
    """The bucket's name."""
    return str(settings["BucketARN"]).rsplit(":", 1)[1]


def hints_of(settings: Settings) -> Hints:
    """A destination's or backup's buffering hints."""
    given = settings["BufferingHints"]
    return Hints(given["SizeInMBs"] * MIB, float(given["IntervalInSeconds"]))


def lambda_parameters(made: Settings) -> dict[str, str] | None:
    """The Lambda processor's parameters with defaults, None where there is none."""
    for processor in _active_processors(made):
        if processor["Type"] == "Lambda":
            return {**_LAMBDA_DEFAULTS, **_parameters(processor)}
    return None


def extraction_query(made: Settings) -> str | None:
    """The MetadataExtraction processor's query, None where there is none."""
    for processor in _active_processors(made):
        if processor["Type"] == "MetadataExtraction":
            return _parameters(processor)["MetadataExtractionQuery"]
    return None


def processors_of(made: Settings) -> dict[str, dict[str, str]]:
    """The active processors' parameters by type."""
    return {processor["Type"]: _parameters(processor) for processor in _active_processors(made)}


def delimiter(made: Settings) -> bytes:
    """What AppendDelimiterToRecord puts behind each record."""
    for processor in _active_processors(made):
        if processor["Type"] == "AppendDelimiterToRecord":
            text = _parameters(processor).get("Delimiter", "\\n")
            return text.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t").encode()
    return b""


def conversion_schema(made: Settings) -> Mapping[str, Any] | None:
    """The Glue table records are converted to; None where conversion is off."""
    conversion = made.get("DataFormatConversionConfiguration") or {}
    return conversion.get("SchemaConfiguration") if conversion.get("Enabled") else None


def converted_format(made: Settings) -> str:
    """``parquet`` or ``orc``, where conversion is on."""
    serializer = made["DataFormatConversionConfiguration"]["OutputFormatConfiguration"]["Serializer"]
    return "orc" if "OrcSerDe" in serializer else "parquet"


def is_partitioned(made: Settings) -> bool:
    """Whether dynamic partitioning is on."""
    return bool((made.get("DynamicPartitioningConfiguration") or {}).get("Enabled"))


def described(made: Settings) -> dict[str, Any]:
    """The description, whole and in the older, smaller shape."""
    return {
        "S3DestinationDescription": {key: made[key] for key in _BASIC if key in made},
        "ExtendedS3DestinationDescription": dict(made),
    }


def basic(given: Settings) -> dict[str, Any]:
    """What destination and backup share."""
    bucket = parse(given["BucketARN"])
    if bucket is None or bucket.service != "s3" or not bucket.resource or "/" in bucket.resource:
        raise api.InvalidArgumentException(f"BucketARN {given['BucketARN']} is not valid.")
    if "KMSEncryptionConfig" in (given.get("EncryptionConfiguration") or {}):
        raise _refused("EncryptionConfiguration.KMSEncryptionConfig")
    compression = given.get("CompressionFormat", "UNCOMPRESSED")
    made = {
        "RoleARN": given["RoleARN"],
        "BucketARN": given["BucketARN"],
        "BufferingHints": hints(given.get("BufferingHints") or {}),
        "CompressionFormat": compression,
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": logging(given.get("CloudWatchLoggingOptions") or {}),
    }
    for member in ("Prefix", "ErrorOutputPrefix"):
        if given.get(member):
            made[member] = given[member]
    return made


def logging(given: Settings) -> dict[str, Any]:
    """Checked logging options."""
    if given.get("Enabled") and not (given.get("LogGroupName") and given.get("LogStreamName")):
        raise api.InvalidArgumentException(
            "CloudWatchLoggingOptions: LogGroupName and LogStreamName must be specified when logging is enabled."
        )
    return {"Enabled": False, **given}


def hints(given: Settings, *, partitioned: bool = False, converted: bool = False) -> dict[str, int]:
    """Checked buffering hints with defaults."""
    if ("SizeInMBs" in given) != ("IntervalInSeconds" in given):
        raise api.InvalidArgumentException(
            "BufferingHints: SizeInMBs and IntervalInSeconds must be specified together."
        )
    default = CONVERTED_SIZE_DEFAULT if converted else PARTITIONED_SIZE_MIN if partitioned else 5
    made = {"SizeInMBs": given.get("SizeInMBs", default), "IntervalInSeconds": given.get("IntervalInSeconds", 300)}
    for reason, on in (("Dynamic Partitioning", partitioned), ("DataFormatConversionConfiguration", converted)):
        if on and made["SizeInMBs"] < PARTITIONED_SIZE_MIN:
            raise api.InvalidArgumentException(
                f"BufferingHints.SizeInMBs must be at least {PARTITIONED_SIZE_MIN} when {reason} is enabled."
            )
    return made


def processing(given: Settings) -> dict[str, Any]:
    enabled = bool(given.get("Enabled"))
    processors = given.get("Processors") or []
    kinds = [processor["Type"] for processor in processors]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise api.InvalidArgumentException(f"Only one processor of type {kind} is allowed.")
    for processor in processors:
        if processor["Type"] == "Lambda":
            _check_lambda({**_LAMBDA_DEFAULTS, **_parameters(processor)})
        elif processor["Type"] == "MetadataExtraction":
            _check_extraction(_parameters(processor))
        elif processor["Type"] in expansion.KINDS:
            expansion.check(processor["Type"], _parameters(processor))
        elif unknown := set(_parameters(processor)) - {"Delimiter"}:
            raise api.InvalidArgumentException(f"Parameter {min(unknown)} is not valid for AppendDelimiterToRecord.")
    if "CloudWatchLogProcessing" in kinds and "Decompression" not in kinds:
        raise api.InvalidArgumentException("CloudWatchLogProcessing needs the Decompression processor.")
    return {"Enabled": enabled, "Processors": processors}


def _check_lambda(parameters: Mapping[str, str]) -> None:
    unknown = set(parameters) - {*_LAMBDA_DEFAULTS, "LambdaArn", "RoleArn"}
    if unknown:
        raise api.InvalidArgumentException(f"Parameter {min(unknown)} is not valid for the Lambda processor.")
    arn = parse(parameters.get("LambdaArn", ""))
    if arn is None or arn.service != "lambda":
        raise api.InvalidArgumentException("The Lambda processor needs a valid LambdaArn.")
    for name, least, most in (
        ("NumberOfRetries", 0.0, 300.0),
        ("BufferSizeInMBs", 0.2, 3.0),
        ("BufferIntervalInSeconds", 0.0, 900.0),
    ):
        try:
            value = float(parameters[name])
        except ValueError:
            value = -1.0
        if not least <= value <= most:
            raise api.InvalidArgumentException(
                f"{name} must be between {least:g} and {most:g}, but was {parameters[name]}."
            )


def _check_extraction(parameters: Mapping[str, str]) -> None:
    if set(parameters) != {"MetadataExtractionQuery", "JsonParsingEngine"}:
        raise api.InvalidArgumentException(
            "MetadataExtraction needs MetadataExtractionQuery and JsonParsingEngine and nothing else."
        )
    if parameters["JsonParsingEngine"] != "JQ-1.6":
        raise api.InvalidArgumentException("JsonParsingEngine must be JQ-1.6.")
    Query(parameters["MetadataExtractionQuery"])


def _check_keys(made: Settings) -> None:
    """Each namespace of partition keys in Prefix needs the processor that makes them."""
    wanted = prefix.partition_keys(made.get("Prefix", ""))
    if any(piece.namespace == prefix.FROM_LAMBDA for piece in wanted) and lambda_parameters(made) is None:
        raise api.InvalidArgumentException(
            "Lambda processor should be present when S3 Prefix has partitionKeyFromLambda namespace."
        )
    queried = [piece.value for piece in wanted if piece.namespace == prefix.FROM_QUERY]
    query = extraction_query(made)
    if queried and query is None:
        raise api.InvalidArgumentException(
            "MetadataExtraction processor should be present when S3 Prefix has partitionKeyFromQuery namespace."
        )
    if query is not None and (unknown := set(queried) - Query(query).names):
        raise api.InvalidArgumentException(f"MetadataExtractionQuery makes no partition key {min(unknown)}.")


def _partitioning(given: Settings, made: dict[str, Any]) -> bool:
    asked = given.get("DynamicPartitioningConfiguration")
    if asked is None:
        return False
    enabled = bool(asked.get("Enabled"))
    retry = {"DurationInSeconds": 300, **(asked.get("RetryOptions") or {})}
    made["DynamicPartitioningConfiguration"] = {"RetryOptions": retry, "Enabled": enabled}
    if enabled:
        _check_keys(made)
    return enabled


def _conversion(given: Settings, made: dict[str, Any]) -> bool:
    asked = given.get("DataFormatConversionConfiguration")
    if not asked:
        return False
    if not asked.get("Enabled", True):
        made["DataFormatConversionConfiguration"] = asked
        return False
    schema = asked.get("SchemaConfiguration") or {}
    for member in ("RoleARN", "DatabaseName", "TableName"):
        if not schema.get(member):
            raise api.InvalidArgumentException(
                f"SchemaConfiguration.{member} must be specified when data format conversion is enabled."
            )
    if schema.get("VersionId", "LATEST") != "LATEST":
        raise _refused("SchemaConfiguration.VersionId")
    serializer = (asked.get("OutputFormatConfiguration") or {}).get("Serializer") or {}
    if len({"OrcSerDe", "ParquetSerDe"} & set(serializer)) != 1:
        raise api.InvalidArgumentException("OutputFormatConfiguration.Serializer must name exactly one serializer.")
    deserializer = (asked.get("InputFormatConfiguration") or {}).get("Deserializer") or {}
    if len({"OpenXJsonSerDe", "HiveJsonSerDe"} & set(deserializer)) != 1:
        raise api.InvalidArgumentException("InputFormatConfiguration.Deserializer must name exactly one deserializer.")
    for pattern in (deserializer.get("HiveJsonSerDe") or {}).get("TimestampFormats") or ():
        _check_timestamp(pattern)
    if made["CompressionFormat"] != "UNCOMPRESSED":
        raise api.InvalidArgumentException(
            "CompressionFormat must be UNCOMPRESSED when data format conversion is enabled."
        )
    made["DataFormatConversionConfiguration"] = {**asked, "Enabled": True}
    return True


def _check_timestamp(pattern: str) -> None:
    try:
        if pattern != joda.MILLIS:
            joda.reader(pattern)
    except joda.PatternError as wrong:
        raise api.InvalidArgumentException(f"HiveJsonSerDe.TimestampFormats: {wrong}.") from None


def _active_processors(made: Settings) -> list[Any]:
    processing = made.get("ProcessingConfiguration") or {}
    return list(processing.get("Processors") or []) if processing.get("Enabled") else []


def _parameters(processor: Settings) -> dict[str, str]:
    return {each["ParameterName"]: each["ParameterValue"] for each in processor.get("Parameters") or []}


def _refused(what: str) -> AwsError:
    return not_built("firehose", "CreateDeliveryStream", what)
