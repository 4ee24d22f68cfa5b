"""Page tokens come back as the place they were made of; whatever else comes is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws.pages import opened, sealed

WRONG = AwsError("InvalidInputException", "The next token is invalid.")
NAMES = st.text(st.characters(blacklist_categories=("Cs",)))


@given(NAMES | st.binary() | st.tuples(st.integers(0, 1 << 60), NAMES))
def test_places_come_back(place: Any) -> None:
    kind: Any = tuple[int, str] if isinstance(place, tuple) else type(place)
    assert opened(sealed(place), kind, place, WRONG) == place


def test_the_first_page_has_no_token() -> None:
    assert opened(None, tuple[str, str], ("", ""), WRONG) == ("", "")


@given(NAMES | st.binary().map(lambda raw: sealed(raw)) | st.integers(0, 9).map(lambda number: sealed(("x", number))))
def test_other_texts_are_refused(token: str) -> None:
    with pytest.raises(AwsError, match="InvalidInput"):
        opened(token, tuple[str, str], ("", ""), WRONG)
