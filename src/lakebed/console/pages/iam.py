"""IAM: users, roles and policies, with the documents that say what each may do. Secrets are not here: nobody can read them."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import unquote

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, moment
from lakebed.console.parts import facts, pages, panel, state, table, time_of
from lakebed.console.shell import Page

CURRENT = "/console/iam"
_ROWS = 100


async def page(backend: Backend, asked: Asked) -> Page:
    """Who there is and what policies there are."""
    users, roles, policies = await asyncio.gather(
        _listed(backend, asked, "ListUsers", {}),
        _listed(backend, asked, "ListRoles", {}),
        _listed(backend, asked, "ListPolicies", {"Scope": "Local"}),
    )
    now = backend.clock.now()
    user_rows = [
        (
            h.a(href=to("iam/user", user=one["UserName"]))[one["UserName"]],
            h.code[one["Arn"]],
            time_of(now, one["CreateDate"]),
        )
        for one in users["Users"]
    ]
    role_rows = [
        (
            h.a(href=to("iam/role", role=one["RoleName"]))[one["RoleName"]],
            ", ".join(_trusted(one.get("AssumeRolePolicyDocument"))) or "—",
            one.get("Description") or "—",
            time_of(now, one["CreateDate"]),
        )
        for one in roles["Roles"]
    ]
    policy_rows = [
        (
            h.a(href=to("iam/policy", arn=one["Arn"]))[one["PolicyName"]],
            count(one.get("AttachmentCount", 0)),
            one.get("DefaultVersionId", "—"),
            time_of(now, one["UpdateDate"]),
        )
        for one in policies["Policies"]
    ]
    none_yet = "None yet. The seeded development key acts as the account's root, which may do everything."
    content = [
        panel("Roles", table(("Role", "Trusted", "Description", "Made"), role_rows, key="roles-table"),
              _more(asked, roles, "ListRoles")),
        panel("Users", table(("User", "ARN", "Made"), user_rows, nothing=none_yet), _more(asked, users, "ListUsers")),
        panel("Policies of this account", table(("Policy", "Attached", "Version", "Changed"), policy_rows, numbers=("Attached",)),
              _more(asked, policies, "ListPolicies")),
    ]  # fmt: skip
    return Page("IAM", "Who may do what here. Every call is decided by these policies.", CURRENT, content)


async def _listed(backend: Backend, asked: Asked, operation: str, more: dict[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = {**more, "MaxItems": _ROWS}
    if asked.get(operation):
        params["Marker"] = asked.get(operation)
    return await backend.call("iam", operation, params, backend.scope)


def _more(asked: Asked, answer: dict[str, Any], operation: str) -> h.Node:
    following = asked.again(**{operation: answer["Marker"]}) if answer.get("IsTruncated") else None
    return pages(asked.again(**{operation: None}) if asked.get(operation) else None, following)


async def role(backend: Backend, asked: Asked) -> Page:
    """A role: who may take it, and what it may do."""
    name = asked.get("role")
    told = (await backend.call("iam", "GetRole", {"RoleName": name}, backend.scope))["Role"]
    details = [
        ("ARN", h.code[told["Arn"]]),
        ("Id", h.code[told["RoleId"]]),
        ("Made", moment(told["CreateDate"])),
        ("Longest session", f"{told.get('MaxSessionDuration', 3600)} s"),
        ("Description", told.get("Description") or "—"),
    ]
    content = [
        panel("Role", facts(details)),
        panel("Who may take it", _document(told.get("AssumeRolePolicyDocument"))),
        *await _policies(backend, "Role", name),
    ]
    return Page(name, "Who may act as this role, and what it may do.", CURRENT, content, crumbs=(("IAM", CURRENT),))


async def user(backend: Backend, asked: Asked) -> Page:
    """A user: keys (never their secrets) and policies."""
    name = asked.get("user")
    told = (await backend.call("iam", "GetUser", {"UserName": name}, backend.scope))["User"]
    keys = await backend.call("iam", "ListAccessKeys", {"UserName": name}, backend.scope)
    now = backend.clock.now()
    rows = [
        (h.code[one["AccessKeyId"]], state(one["Status"]), time_of(now, one["CreateDate"]))
        for one in keys["AccessKeyMetadata"]
    ]
    details = [
        ("ARN", h.code[told["Arn"]]),
        ("Id", h.code[told["UserId"]]),
        ("Made", moment(told["CreateDate"])),
    ]
    content = [
        panel("User", facts(details)),
        panel("Access keys", table(("Key", "State", "Made"), rows)),
        *await _policies(backend, "User", name),
    ]
    return Page(name, "What this user signs with and what it may do.", CURRENT, content, crumbs=(("IAM", CURRENT),))


async def _policies(backend: Backend, kind: str, name: str) -> list[h.Element]:
    """Attached and inline policies of a user or role."""
    who = {f"{kind}Name": name}
    attached = await backend.call("iam", f"ListAttached{kind}Policies", who, backend.scope)
    inline = await backend.call("iam", f"List{kind}Policies", who, backend.scope)
    rows = [
        (h.a(href=to("iam/policy", arn=one["PolicyArn"]))[one["PolicyName"]], h.code[one["PolicyArn"]])
        for one in attached["AttachedPolicies"]
    ]
    panels = [panel("Attached policies", table(("Policy", "ARN"), rows))]
    for policy_name in inline["PolicyNames"]:
        told = await backend.call("iam", f"Get{kind}Policy", {**who, "PolicyName": policy_name}, backend.scope)
        panels.append(panel(f"Inline policy {policy_name}", _document(told["PolicyDocument"])))
    return panels


async def policy(backend: Backend, asked: Asked) -> Page:
    """A managed policy: its document and who has it."""
    arn = asked.get("arn")
    told = (await backend.call("iam", "GetPolicy", {"PolicyArn": arn}, backend.scope))["Policy"]
    params = {"PolicyArn": arn, "VersionId": told["DefaultVersionId"]}
    version = (await backend.call("iam", "GetPolicyVersion", params, backend.scope))["PolicyVersion"]
    having = await backend.call("iam", "ListEntitiesForPolicy", {"PolicyArn": arn}, backend.scope)
    rows = [
        (kind, h.a(href=to(f"iam/{kind}", **{kind: one[member]}))[one[member]])
        for kind, listed, member in (("role", "PolicyRoles", "RoleName"), ("user", "PolicyUsers", "UserName"))
        for one in having.get(listed) or []
    ]
    details = [("ARN", h.code[arn]), ("Version", told["DefaultVersionId"]), ("Changed", moment(told["UpdateDate"]))]
    content = [
        panel("Policy", facts(details), _document(version["Document"])),
        panel("Who has it", table(("Kind", "Name"), rows, nothing="Nobody.")),
    ]
    return Page(
        told["PolicyName"], "What it allows and denies, and whom.", CURRENT, content, crumbs=(("IAM", CURRENT),)
    )


def _parsed(document: Any) -> Any:
    """A policy document: IAM answers it as URL-encoded JSON."""
    if not isinstance(document, str):
        return document
    try:
        return json.loads(unquote(document) if document.lstrip()[:1] != "{" else document)
    except ValueError:
        return document


def _document(document: Any) -> h.Element:
    value = _parsed(document)
    return h.pre(tabindex="0")[value if isinstance(value, str) else json.dumps(value, indent=2)]


def _trusted(document: Any) -> list[str]:
    """Whom a role trusts, in short."""
    value = _parsed(document)
    statements = value.get("Statement", []) if isinstance(value, dict) else []
    found = []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {}) if isinstance(statement, dict) else {}
        for names in principal.values() if isinstance(principal, dict) else [principal]:
            found += [str(one) for one in (names if isinstance(names, list) else [names])]
    return found
