"""Publishing: a numbered copy of ``$LATEST`` that never changes.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html
"""

from __future__ import annotations

import msgspec

from lakebed.kernel.db import Tx
from lakebed.kernel.scope import Scope
from lakebed.services.lambda_.model import FunctionVersion, same_but_version
from lakebed.services.lambda_.store import FunctionStore


def publish(
    tx: Tx, store: FunctionStore, scope: Scope, latest: FunctionVersion, revision: str, description: str = ""
) -> FunctionVersion:
    """The next version; the last one again where nothing changed since."""
    row = store.function(scope, latest.name)
    last = row.last_version if row else 0
    wanted = msgspec.structs.replace(latest, description=description or latest.description)
    if last:
        newest = store.version(scope, latest.name, str(last))
        if newest is not None and same_but_version(wanted, newest):
            return newest
    published = msgspec.structs.replace(wanted, version=str(last + 1), revision=revision)
    store.put_version(tx, scope, published)
    return published
