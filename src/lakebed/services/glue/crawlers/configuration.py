"""What a crawler's ``Configuration`` text says, checked when it is given.

https://docs.aws.amazon.com/glue/latest/dg/crawler-configuration.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import glue as api


class _Grouping(msgspec.Struct, forbid_unknown_fields=True):
    TableGroupingPolicy: str = ""
    TableLevelConfiguration: int = 0


class _Behaviour(msgspec.Struct, forbid_unknown_fields=True):
    AddOrUpdateBehavior: str = ""
    TableThreshold: int = 0


class _Output(msgspec.Struct, forbid_unknown_fields=True):
    Tables: _Behaviour = msgspec.field(default_factory=_Behaviour)
    Partitions: _Behaviour = msgspec.field(default_factory=_Behaviour)


class Configuration(msgspec.Struct, forbid_unknown_fields=True):
    """The document. ``CreatePartitionIndex`` may be said: every table has its index here."""

    Version: float = 1.0
    CrawlerOutput: _Output = msgspec.field(default_factory=_Output)
    Grouping: _Grouping = msgspec.field(default_factory=_Grouping)
    CreatePartitionIndex: bool = True

    @property
    def combine(self) -> bool:
        """Compatible schemas make one table, similar or not."""
        return self.Grouping.TableGroupingPolicy == "CombineCompatibleSchemas"

    @property
    def merge_columns(self) -> bool:
        """New columns are added, none is changed or removed."""
        return self.CrawlerOutput.Tables.AddOrUpdateBehavior == "MergeNewColumns"

    @property
    def inherit(self) -> bool:
        """Partitions take columns and serde from their table."""
        return self.CrawlerOutput.Partitions.AddOrUpdateBehavior == "InheritFromTable"


def read(text: str | None) -> Configuration:
    """InvalidInputException for what is none."""
    if not text:
        return Configuration()
    try:
        found = msgspec.json.decode(text, type=Configuration)
    except (msgspec.ValidationError, msgspec.DecodeError) as wrong:
        raise api.InvalidInputException(f"Crawler configuration is invalid: {wrong}") from None
    _one_of(found.Grouping.TableGroupingPolicy, ("", "CombineCompatibleSchemas"))
    _one_of(found.CrawlerOutput.Tables.AddOrUpdateBehavior, ("", "MergeNewColumns"))
    _one_of(found.CrawlerOutput.Partitions.AddOrUpdateBehavior, ("", "InheritFromTable"))
    if (
        found.Version != 1.0
        or found.Grouping.TableLevelConfiguration < 0
        or found.CrawlerOutput.Tables.TableThreshold < 0
    ):
        raise api.InvalidInputException("Crawler configuration is invalid: Version is 1.0, numbers are not negative")
    return found


def _one_of(given: Any, known: tuple[str, ...]) -> None:
    if given not in known:
        raise api.InvalidInputException(f"Crawler configuration is invalid: {given!r} is not known")
