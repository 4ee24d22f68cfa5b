"""KMS: keys with their aliases and states, and one key with its policy, rotation and grants."""

from __future__ import annotations

import json
from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import moment
from lakebed.console.parts import empty, facts, mapping, pages, panel, state, table
from lakebed.console.shell import Page

CURRENT = "/console/kms"
_KEYS, _GRANTS = 50, 50


async def keys(backend: Backend, asked: Asked) -> Page:
    """All keys of the region."""
    params: dict[str, Any] = {"Limit": _KEYS} | ({"Marker": asked.get("token")} if asked.get("token") else {})
    answer = await backend.call("kms", "ListKeys", params, backend.scope)
    lead = "Keys that seal what other services keep; without one its data cannot be read."
    if not answer.get("Keys"):
        text = "Services make their own key when it is first asked for. Make one of yours, and name it:"
        command = (
            "aws kms create-key --description lake\naws kms create-alias --alias-name alias/lake --target-key-id KEY"
        )
        return Page("KMS", lead, CURRENT, empty(f"No key in {backend.scope.region}", text, command))
    aliases = await backend.call("kms", "ListAliases", {"Limit": 100}, backend.scope)
    names: dict[str, list[str]] = {}
    for one in aliases.get("Aliases", []):
        names.setdefault(one.get("TargetKeyId", ""), []).append(one["AliasName"])
    rows = []
    for one in answer["Keys"]:
        told = (await backend.call("kms", "DescribeKey", {"KeyId": one["KeyId"]}, backend.scope))["KeyMetadata"]
        rows.append(
            (
                h.a(href=to("kms/key", key=one["KeyId"]))[one["KeyId"]],
                ", ".join(names.get(one["KeyId"], [])) or "—",
                state(told["KeyState"]),
                told.get("KeySpec", "—"),
                "AWS's" if told.get("KeyManager") == "AWS" else "your own",
                told.get("Description") or "—",
            )
        )
    following = asked.again(token=answer["NextMarker"]) if answer.get("NextMarker") else None
    content = panel(
        "Keys",
        table(("Key", "Aliases", "State", "Kind", "Of", "Description"), rows, key="keys-table"),
        pages(asked.again(token=None) if asked.get("token") else None, following),
    )
    return Page("KMS", lead, CURRENT, content)


async def key(backend: Backend, asked: Asked) -> Page:
    """One key."""
    name = {"KeyId": asked.get("key")}
    told = (await backend.call("kms", "DescribeKey", name, backend.scope))["KeyMetadata"]
    details: list[tuple[str, h.Node]] = [
        ("ARN", h.code[told["Arn"]]),
        ("State", state(told["KeyState"])),
        ("Kind", told.get("KeySpec", "—")),
        ("Used to", told.get("KeyUsage", "—").replace("_", " ").lower()),
        ("Made", moment(told["CreationDate"])),
        ("Description", told.get("Description") or "—"),
    ]
    if told.get("DeletionDate"):
        details.append(("Will be deleted", moment(told["DeletionDate"])))
    if told.get("KeySpec") == "SYMMETRIC_DEFAULT" and told["KeyState"] == "Enabled":
        rotation = await backend.call("kms", "GetKeyRotationStatus", name, backend.scope)
        period = f"every {rotation.get('RotationPeriodInDays', 365)} days"
        details.append(("Material renewed", period if rotation["KeyRotationEnabled"] else "only on demand"))
    policy = await backend.call("kms", "GetKeyPolicy", name | {"PolicyName": "default"}, backend.scope)
    aliases = await backend.call("kms", "ListAliases", name, backend.scope)
    grants = await backend.call("kms", "ListGrants", name | {"Limit": _GRANTS}, backend.scope)
    tags = await backend.call("kms", "ListResourceTags", name, backend.scope)
    rows = [
        (h.code[one["GranteePrincipal"]], ", ".join(one["Operations"]), one.get("Name") or "—")
        for one in grants.get("Grants", [])
    ]
    content = [
        panel("Key", facts(details)),
        panel("Aliases", table(("Name",), [(h.code[one["AliasName"]],) for one in aliases.get("Aliases", [])])),
        panel("Policy", h.pre(tabindex="0")[json.dumps(json.loads(policy["Policy"]), indent=2)]),
        panel("Grants", table(("To", "May", "Name"), rows, nothing="None.")),
        panel("Tags", mapping({one["TagKey"]: one["TagValue"] for one in tags.get("Tags", [])})),
    ]
    lead = "What this key seals, who may use it, when it changes."
    return Page(told["KeyId"], lead, CURRENT, content, crumbs=(("KMS", CURRENT),))
