"""The coverage ledger: which operations are built, and what happens to every member of their input.

    python tools/ledger.py            write docs/services/<service>.md
    python tools/ledger.py --check    fail when a page is stale or a member is neither read, refused nor explained

A member counts as *read* when its name stands in the service's source as a string; as *refused* when the operation's
``refused=`` names it; as *explained* when ``docs/deviations/<service>.md`` names it between backticks (``Member``,
``Shape.Member`` or ``Operation.Member``). Members no client can send (output only) do not count.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import botocore.loaders

from tools.gen_api import SERVICES, listings

ROOT = Path(__file__).resolve().parent.parent
DOCS, DEVIATIONS = ROOT / "docs" / "services", ROOT / "docs" / "deviations"


@dataclass(slots=True)
class Entry:
    """One built operation and its input members by fate."""

    name: str
    read: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    unaccounted: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """One service."""

    service: str
    title: str
    built: list[Entry]
    missing: list[str]


def strings_in(package: Path) -> set[str]:
    """Every string constant and attribute-like keyword of a package's source."""
    found: set[str] = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(_parsed(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 80:
                found.add(node.value)
            elif isinstance(node, ast.keyword) and node.arg:
                found.add(node.arg)
    return found


def refusals_in(package: Path) -> dict[str, tuple[str, ...]]:
    """Operation -> members its decorator refuses."""
    found: dict[str, tuple[str, ...]] = {}
    for path in package.rglob("*.py"):
        constants = _constants(path, package)
        for node in ast.walk(_parsed(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "operation"
                and node.args
            ):
                name = node.args[0]
                for keyword in node.keywords:
                    if keyword.arg == "refused" and isinstance(name, ast.Constant):
                        found[str(name.value)] = tuple(_texts(keyword.value, constants))
    return found


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def _constants(path: Path, package: Path) -> dict[str, list[str]]:
    """The texts of a module's own constants, and of those it imports from modules of the same package."""
    found: dict[str, list[str]] = {}
    for node in _parsed(path).body:
        if isinstance(node, ast.Assign):
            texts = _texts(node.value, found)
            found |= {target.id: texts for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom) and (source := _source(node.module or "", package)) not in (None, path):
            theirs = _constants(source, package)
            found |= {name.asname or name.name: theirs[name.name] for name in node.names if name.name in theirs}
    return found


def _source(module: str, package: Path) -> Path | None:
    """The file of a module of the package."""
    prefix = f"lakebed.services.{package.name}."
    if not module.startswith(prefix):
        return None
    base = package.joinpath(*module.removeprefix(prefix).split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.exists()), None)


def _texts(node: ast.expr, constants: dict[str, list[str]]) -> list[str]:
    if isinstance(node, ast.Name):
        return constants.get(node.id, [])
    if isinstance(node, ast.Tuple | ast.List):
        return [text for element in node.elts for text in _texts(element, constants)]
    if isinstance(node, ast.Starred):
        return _texts(node.value, constants)
    if isinstance(node, ast.BinOp):
        return _texts(node.left, constants) + _texts(node.right, constants)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def explained_in(service: str) -> set[str]:
    """Names between backticks in the deviations page."""
    names: set[str] = set()
    for stem in {service, service.split("-")[0]}:
        path = DEVIATIONS / f"{stem}.md"
        if path.exists():
            for text in re.findall(r"`([^`\n]+)`", path.read_text("utf-8")):
                names.update(part.strip() for part in re.split(r"[,\s]+", text))
    return names


def members_of(model: dict[str, Any], shape: str, seen: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """(shape, member) of everything a client can put into an input."""
    if shape in seen:
        return []
    body = model["shapes"][shape]
    seen |= {shape}
    if body["type"] == "list":
        return members_of(model, body["member"]["shape"], seen)
    if body["type"] == "map":
        return members_of(model, body["value"]["shape"], seen)
    found = []
    for member, reference in body.get("members", {}).items():
        found.append((shape, member))
        found += members_of(model, reference["shape"], seen)
    return found


def page_of(service: str, listing: Path) -> Page:
    """Account for one service."""
    model = botocore.loaders.Loader().load_service_model(service, "service-2")
    package = listing.parent
    strings, refusals, explained = strings_in(package), refusals_in(package), explained_in(service)
    names = [line.strip() for line in listing.read_text().splitlines() if line.strip() and not line.startswith("#")]
    built = []
    for name in sorted(names):
        entry = Entry(name)
        shape = model["operations"][name].get("input", {}).get("shape")
        refused = set(refusals.get(name, ()))
        entry.refused = sorted(refused)
        hidden: set[str] = set()
        for owner, member in dict.fromkeys(members_of(model, shape) if shape else []):
            top = owner == shape
            if top and member in refused:
                # What lies below a refused member can not arrive.
                hidden |= {below for below, _ in members_of(model, model["shapes"][owner]["members"][member]["shape"])}
                continue
            if {member, f"{owner}.{member}", f"{name}.{member}"} & explained:
                entry.explained.append(member if top else f"{owner}.{member}")
                hidden |= {below for below, _ in members_of(model, model["shapes"][owner]["members"][member]["shape"])}
            elif owner in hidden:
                continue
            elif member in strings:
                entry.read.append(member)
            else:
                entry.unaccounted.append(member if top else f"{owner}.{member}")
        built.append(entry)
    missing = sorted(set(model["operations"]) - set(names))
    return Page(service, model["metadata"].get("serviceFullName", service), built, missing)


def render(page: Page) -> str:
    """The Markdown of one service."""
    total = len(page.built) + len(page.missing)
    intro = (
        f"{len(page.built)} of {total} operations are built; every other one answers 501 naming itself. What a built "
        f"operation does differently from AWS stands in [deviations](../deviations/{page.service.split('-')[0]}.md)."
    )
    lines = [
        f"# {page.title}",
        "",
        "<!-- generated by `make ledger` from the code; do not edit -->",
        "",
        intro,
        "",
        "| operation | members honoured | refused by name | different from AWS |",
        "|---|---:|---|---|",
    ]
    for entry in page.built:
        refused = ", ".join(f"`{member}`" for member in entry.refused)
        explained = ", ".join(f"`{member}`" for member in sorted(set(entry.explained)))
        lines.append(f"| {entry.name} | {len(entry.read)} | {refused} | {explained} |")
    lines += ["", "<details><summary>Not built</summary>", "", ", ".join(page.missing) or "none", "", "</details>", ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    problems = []
    DOCS.mkdir(parents=True, exist_ok=True)
    for service, listing in listings().items():
        page = page_of(service, listing)
        text, target = render(page), DOCS / f"{service}.md"
        problems += [f"{service}:{entry.name} {member}" for entry in page.built for member in entry.unaccounted]
        if not options.check:
            target.write_text(text)
        elif not target.exists() or target.read_text() != text:
            problems.append(f"{target.relative_to(ROOT)} is stale: run make ledger")
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems in {len(list(SERVICES.glob('*/operations*.txt')))} services")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
