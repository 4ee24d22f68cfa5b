"""Folders become tables: siblings that are alike are partitions of one table, others are tables of their own.

From the leaves up: a folder whose files are alike is a group; a folder whose subfolders are groups of equal depth and
mostly alike (seven of ten) is one group with one partition level more, called by ``key=value`` folders or ``partition_N``.
A plain folder that stands alone on its level is no partition but part of the path. ``TableLevelConfiguration`` and Catalog
targets say where the table is; then everything below belongs to it.
https://docs.aws.amazon.com/glue/latest/dg/crawler-s3-folder-table-partition.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from lakebed.ports.inspection import UNKNOWN, Inspected
from lakebed.services.glue.crawlers import schemas


@dataclass(slots=True)
class Folder:
    """What lies directly in a folder, and below it. ``path`` is ``bucket/a/b/``; ``files`` are those that were looked at,
    ``objects`` and ``size`` count all."""

    path: str
    files: list[tuple[str, Inspected]] = field(default_factory=list)
    objects: int = 0
    size: int = 0
    children: dict[str, Folder] = field(default_factory=dict)

    @property
    def known(self) -> list[tuple[str, Inspected]]:
        """The files a classifier knew."""
        return [(key, one) for key, one in self.files if one.classification != UNKNOWN]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A partition, or the whole of a table without any."""

    path: str
    values: tuple[str, ...]
    schema: Inspected
    objects: int
    size: int
    records: int


@dataclass(frozen=True, slots=True)
class Group:
    """A table to be: ``keys`` name its partition levels, empty where the folders are plain."""

    path: str
    keys: tuple[str, ...]
    leaves: tuple[Leaf, ...]
    schema: Inspected

    @property
    def key_names(self) -> list[str]:
        """``partition_0``, ``partition_1`` where the folders say nothing."""
        names: list[str] = []
        for key in self.keys:
            names.append(key or f"partition_{sum(name.startswith('partition_') for name in names)}")
        return names


@dataclass(frozen=True, slots=True)
class Rules:
    """``combine``: compatible suffices; ``level``: where tables are (the bucket is 1, 0: found out); ``known``: paths of
    tables that exist."""

    combine: bool = False
    level: int = 0
    known: Collection[str] = ()

    @property
    def alike(self) -> Callable[[Inspected, Inspected], bool]:
        """Whether two schemas belong together."""
        return schemas.compatible if self.combine else schemas.similar


def tables(folder: Folder, rules: Rules) -> list[Group]:
    """The tables of everything below a folder."""
    found = _resolve(folder, rules)
    return [group if group.path.count("/") == rules.level else _settled(group, rules.known) for group in found]


def whole(folder: Folder) -> list[Group]:
    """Everything below as one table, one more for each format that does not go with the first."""
    leaves = _leaves(folder, ())
    groups: list[list[tuple[Leaf, tuple[str, ...]]]] = []
    for leaf, names in leaves:
        for group in groups:
            if schemas.compatible(group[0][0].schema, leaf.schema):
                group.append((leaf, names))
                break
        else:
            groups.append([(leaf, names)])
    return [_forced(folder.path, group) for group in groups]


def _forced(path: str, found: list[tuple[Leaf, tuple[str, ...]]]) -> Group:
    depths = {len(names) for _, names in found}
    schema = schemas.together([leaf.schema for leaf, _ in found])
    levels = [{_split(names[at])[0] for _, names in found} for at in range(depths.pop())] if len(depths) == 1 else []
    if levels and all(len(level) == 1 for level in levels):
        keys = tuple(level.pop() for level in levels)
        leaves = tuple(replace(leaf, values=tuple(_split(name)[1] for name in names)) for leaf, names in found)
        return Group(path, keys, leaves, schema)
    return Group(path, (), (_flat(path, [leaf for leaf, _ in found], schema),), schema)


def _leaves(folder: Folder, names: tuple[str, ...]) -> list[tuple[Leaf, tuple[str, ...]]]:
    found = [(group.leaves[0], names) for group in _own(folder, schemas.compatible)]
    for name, child in folder.children.items():
        found += _leaves(child, (*names, name))
    return found


def _resolve(folder: Folder, rules: Rules) -> list[Group]:
    if rules.level and folder.path.count("/") == rules.level:
        return whole(folder)
    own = _own(folder, rules.alike)
    kids = [(name, _resolve(child, rules)) for name, child in folder.children.items()]
    kids = [(name, groups) for name, groups in kids if groups]
    below = [group for _, groups in kids for group in groups]
    if not kids:
        return own
    if rules.level and folder.path.count("/") < rules.level:
        return own + below
    if own:
        everything = own + below
        if len(own) == 1 and all(rules.alike(own[0].schema, group.schema) for group in below):
            schema = schemas.together([group.schema for group in everything])
            leaves = [leaf for group in everything for leaf in group.leaves]
            return [Group(folder.path, (), (_flat(folder.path, leaves, schema),), schema)]
        return _by_file(folder) + below
    merged = _merged(folder, [(name, groups[0]) for name, groups in kids if len(groups) == 1], rules)
    return [merged] if merged is not None and len(below) == len(kids) else below


def _merged(folder: Folder, kids: list[tuple[str, Group]], rules: Rules) -> Group | None:
    """One group of these subfolders, None where they do not belong together."""
    if not kids or any(group.path != f"{folder.path}{name}/" for name, group in kids):
        return None
    first = kids[0][1]
    keys = {_split(name)[0] for name, _ in kids}
    if len(keys) != 1 or any(group.keys != first.keys for _, group in kids):
        return None
    same_format = all(
        (group.schema.classification, group.schema.compression)
        == (first.schema.classification, first.schema.compression)
        for _, group in kids
    )
    most = max(sum(rules.alike(one.schema, other.schema) for _, other in kids) for _, one in kids)
    if not same_format or most < schemas.SIMILAR * len(kids):
        return None
    if rules.combine and most < len(kids):
        return None
    leaves = tuple(
        replace(leaf, values=(_split(name)[1], *leaf.values)) for name, group in kids for leaf in group.leaves
    )
    return Group(folder.path, (keys.pop(), *first.keys), leaves, schemas.together([group.schema for _, group in kids]))


def _own(folder: Folder, alike: Callable[[Inspected, Inspected], bool]) -> list[Group]:
    """The files that lie in the folder itself."""
    known = folder.known
    if not known:
        return []
    first = known[0][1]
    if not all(alike(first, one) for _, one in known[1:]):
        return _by_file(folder)
    schema = schemas.together([one for _, one in known])
    records = round(sum(one.records for _, one in known) * folder.objects / len(folder.files))
    leaf = Leaf(folder.path, (), schema, folder.objects, folder.size, records)
    return [Group(folder.path, (), (leaf,), schema)]


def _by_file(folder: Folder) -> list[Group]:
    """Files that do not belong together: a table each."""
    share = folder.size // max(folder.objects, 1)
    return [
        Group(key, (), (Leaf(key, (), one, 1, share, one.records),), replace(one, records=0))
        for key, one in folder.known
    ]


def _flat(path: str, leaves: Sequence[Leaf], schema: Inspected) -> Leaf:
    totals = [sum(getattr(leaf, name) for leaf in leaves) for name in ("objects", "size", "records")]
    return Leaf(path, (), schema, *totals)


def _split(name: str) -> tuple[str, str]:
    """(key, value) of a folder's name; the key is empty where it has none."""
    key, mark, value = name.partition("=")
    return (key.lower(), unquote(value)) if mark and key and value else ("", name)


def _settled(group: Group, known: Collection[str]) -> Group:
    """Plain levels that hold one folder only are part of the path, unless a table stands there already."""
    while group.keys and not group.keys[0] and group.path not in known:
        values = {leaf.values[0] for leaf in group.leaves}
        if len(values) > 1:
            break
        leaves = tuple(replace(leaf, values=leaf.values[1:]) for leaf in group.leaves)
        group = replace(group, path=f"{group.path}{values.pop()}/", keys=group.keys[1:], leaves=leaves)
    return group
