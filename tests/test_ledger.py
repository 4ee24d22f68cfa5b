"""Every input member of every built operation is read, refused by name, or explained; the pages say so truthfully."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.gen_api import listings
from tools.ledger import DOCS, page_of, refusals_in, render


@pytest.mark.parametrize("service", listings())
def test_every_member_is_accounted_for(service: str) -> None:
    page = page_of(service, listings()[service])
    unaccounted = [f"{entry.name} {member}" for entry in page.built for member in entry.unaccounted]
    assert not unaccounted
    assert (DOCS / f"{service}.md").read_text() == render(page), "stale: run make ledger"


def test_refusals_follow_constants_into_other_modules_of_the_package(tmp_path: Path) -> None:
    package = tmp_path / "svc"
    (package / "provider").mkdir(parents=True)
    (package / "shared.py").write_text('KEYS = ("Key", "KeyMD5")\nALL = (*KEYS, "Lock")\n')
    (package / "provider" / "one.py").write_text(
        "from lakebed.services.svc.shared import ALL as EVERYTHING\n"
        '@operation("Put", refused=(*EVERYTHING, "More"))\ndef put(): ...\n'
    )
    assert refusals_in(package) == {"Put": ("Key", "KeyMD5", "Lock", "More")}
