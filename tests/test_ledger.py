"""Every input member of every built operation is read, refused by name, or explained; the pages say so truthfully."""

from __future__ import annotations

import pytest

from tools.gen_api import listings
from tools.ledger import DOCS, page_of, render


@pytest.mark.parametrize("service", listings())
def test_every_member_is_accounted_for(service: str) -> None:
    page = page_of(service, listings()[service])
    unaccounted = [f"{entry.name} {member}" for entry in page.built for member in entry.unaccounted]
    assert not unaccounted
    assert (DOCS / f"{service}.md").read_text() == render(page), "stale: run make ledger"
