"""The page of functions says what the compiler knows: it is generated, and this holds it to that."""

from __future__ import annotations

from pathlib import Path

from tools import athena_functions


def test_the_page_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "services" / "athena-functions.md"
    assert page.read_text("utf-8") == athena_functions.page(), "run python -m tools.athena_functions"
