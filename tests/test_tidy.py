"""Style as a test: sizes, banned calls outside their room, essays, dead files. These are ratchets: they only get stricter.

Inspired by TigerBeetle's tidy: a rule that a machine checks is not argued about in review.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "lakebed"
FILES = sorted(path for path in SOURCE.rglob("*.py") if "api" not in path.relative_to(SOURCE).parts[:1])
TEST_FILES = sorted((ROOT / "tests").rglob("*.py")) + sorted((ROOT / "bench").rglob("*.py"))
FILE_LINES_MAX, TEST_LINES_MAX, FUNCTION_LINES_MAX, PARAMETERS_MAX = 500, 800, 60, 8

# Banned call -> the room that may use it.
BANNED = {
    "time.time": "kernel", "time.sleep": "kernel", "time.monotonic": "kernel", "datetime.now": "kernel",
    "datetime.utcnow": "kernel", "datetime.datetime.now": "kernel", "date.today": "kernel", "uuid.uuid4": "kernel",
    "uuid4": "kernel", "random.random": "kernel", "secrets.token_hex": "kernel", "os.urandom": "kernel",
    "asyncio.sleep": "kernel", "os.getenv": "kernel", "os.system": "", "eval": "", "exec": "", "pickle.loads": "",
}  # fmt: skip
# Programs that run in a process of their own, where the server's clock does not reach; each says so at its top.
OWN_PROCESS = re.compile(r"(worker|main|plugin|demo)\w*\.py$")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_source_file(path: Path) -> None:
    module, lines = tree(path), path.read_text("utf-8").count("\n")
    assert lines <= FILE_LINES_MAX, f"{lines} lines: split it by resource"
    if lines:
        assert ast.get_docstring(module), "open with an essay: what, why, which AWS page, what is refused"
    room = path.relative_to(SOURCE).parts[0]
    for function in functions(module):
        size = (function.end_lineno or function.lineno) - function.lineno + 1
        assert size <= FUNCTION_LINES_MAX, f"{function.name}: {size} lines"
        arguments = function.args
        count = len(arguments.args) + len(arguments.kwonlyargs) + len(arguments.posonlyargs)
        assert count <= PARAMETERS_MAX + (1 if arguments.args[:1] and arguments.args[0].arg == "self" else 0), (
            f"{function.name}: {count} parameters: group them"
        )
    if OWN_PROCESS.search(path.name):
        return
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and (called := dotted(node.func)) in BANNED:
            assert room == BANNED[called], f"line {node.lineno}: {called} belongs to {BANNED[called] or 'nobody'}"
        if isinstance(node, ast.Attribute) and dotted(node) == "os.environ":
            assert room in ("kernel", "cli"), f"line {node.lineno}: os.environ is read by the kernel alone"
        if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name) and node.type.id == "Exception":
            assert room in ("edge", "kernel", "house.py", "console"), (
                f"line {node.lineno}: catch what you mean; only the edge and the tasks catch everything"
            )


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_await_inside_a_transaction(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.With) and any(
            isinstance(item.context_expr, ast.Call) and dotted(item.context_expr.func).endswith(".tx")
            for item in node.items
        ):
            awaits = [inner.lineno for inner in ast.walk(node) if isinstance(inner, ast.Await)]
            assert not awaits, f"line {awaits[0]}: a transaction contains no await"


@pytest.mark.parametrize("path", TEST_FILES, ids=name)
def test_test_file(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= TEST_LINES_MAX, "split it"
    for function in functions(tree(path)):
        if function.name.startswith("test_"):
            body = ast.dump(function)
            assert re.search(
                r"Assert\(|attr='raises'|id='(assert|check|expect|run|bounded|refused)\w*'|attr='(assert|check|expect)\w*'",
                body,
            ), f"{function.name} asserts nothing"


def test_names_say_what_is_inside() -> None:
    bad = {"utils", "util", "common", "helpers", "helper", "core", "misc"}
    found = [name(path) for path in SOURCE.rglob("*") if path.stem in bad]
    assert not found


def test_every_module_is_imported_by_someone() -> None:
    """A file nobody imports is dead, or a process of its own that is named somewhere as a module or path."""
    everything = "\n".join(
        path.read_text("utf-8")
        for path in [*SOURCE.rglob("*.py"), ROOT / "pyproject.toml", *(ROOT / "tools").glob("*.py")]
    )
    dead = []
    for path in FILES:
        if path.stem in ("__init__", "__main__"):
            continue
        module = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
        package, _, stem = module.rpartition(".")
        named = re.compile(
            rf"{re.escape(module)}\b|from {re.escape(package)} import [^\n]*\b{stem}\b"
            rf"|from {re.escape(package)} import \([^)]*\b{stem}\b|[\"/]{stem}\.py\""
        )
        if not named.search(everything):
            dead.append(module)
    assert not dead


def test_nothing_of_this_machine_is_committed() -> None:
    pattern = re.compile(r"/(?:work|root|farm)/|files\.python(?:hosted)|registry\.npm(?:js)|pypi\.org/(?:simple)")
    bad = []
    for folder in ("src", "tests", "tools", "docs", "examples", "bench", "web"):
        for path in (ROOT / folder).rglob("*"):
            if not path.is_file() or "node_modules" in path.parts or path.suffix not in (
                ".py", ".md", ".toml", ".json", ".txt", ".js", ".mjs", ".css", ".sql", ".html",
            ):  # fmt: skip
                continue
            if path != Path(__file__) and pattern.search(path.read_text("utf-8", "replace")):
                bad.append(name(path))
    assert not bad
