"""IoT: rules with their SQL and actions, things, certificates, and the endpoint devices connect to."""

from __future__ import annotations

import json
import re
from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, moment
from lakebed.console.pages.iot_try import SQL, topic_for, trying
from lakebed.console.parts import cost, empty, facts, mapping, pages, panel, state, table, tiles, time_of
from lakebed.console.prices import IOT_ACTION_MILLION, IOT_RULE_MILLION, requests
from lakebed.console.shell import Page
from lakebed.console.traffic import meter_of, tiles_of

CURRENT = "/console/iot"
_ROWS = 100


async def page(backend: Backend, asked: Asked) -> Page:
    """Rules, things and certificates."""
    rules = await _listed(backend, asked, "ListTopicRules", "rules", "maxResults")
    things = await _listed(backend, asked, "ListThings", "things", "maxResults")
    certificates = await backend.call("iot", "ListCertificates", {"pageSize": _ROWS}, backend.scope)
    content: list[h.Node] = [tiles(tiles_of(backend, backend.scope.arn("iot", "client/*")))]
    if not (rules["rules"] or things["things"]):
        text = "Devices publish over MQTT; a rule takes what they say to a stream. Make a thing and the keys it connects with:"
        command = (
            "aws iot create-thing --thing-name tower-1\n"
            "aws iot create-keys-and-certificate --set-as-active --certificate-pem-outfile tower-1.pem \\\n"
            "  --private-key-outfile tower-1.key"
        )
        content.append(empty(f"Nothing in {backend.scope.region}", text, command))
    content += [
        await _endpoint(backend),
        _rules(backend, asked, rules),
        trying(backend, SQL),
        _things(asked, things),
        _certificates(backend, certificates),
    ]
    actions = h.a(".button", href=to("iot/live"))["Live messages"]
    return Page("IoT", "Devices, what they may do, and where what they say goes.", CURRENT, content, actions)


async def _listed(backend: Backend, asked: Asked, operation: str, kind: str, limit: str) -> dict[str, Any]:
    params: dict[str, Any] = {limit: _ROWS}
    if asked.get(kind):
        params["nextToken"] = asked.get(kind)
    return await backend.call("iot", operation, params, backend.scope)


async def _endpoint(backend: Backend) -> h.Element:
    answer = await backend.call("iot", "DescribeEndpoint", {"endpointType": "iot:Data-ATS"}, backend.scope)
    status = backend.status()
    return panel(
        "Endpoint",
        facts(
            [
                ("Devices connect to", h.code[answer["endpointAddress"]]),
                ("MQTT over TLS listens on", h.code[status.get("mqtt") or "closed"]),
                ("Root certificate", h.code[status.get("mqtt_ca", "—")]),
            ]
        ),
    )


def _rules(backend: Backend, asked: Asked, answer: dict[str, Any]) -> h.Element:
    rows = []
    for one in answer["rules"]:
        meter = meter_of(backend, one["ruleArn"])
        rows.append(
            (
                h.a(href=to("iot/rule", rule=one["ruleName"]))[one["ruleName"]],
                h.code[one.get("topicPattern", "—")],
                state("DISABLED" if one.get("ruleDisabled") else "ENABLED"),
                count(meter["recordsIn"]),
                count(meter["recordsOut"]),
                count(meter["errors"]),
            )
        )
    columns = ("Rule", "Topics", "State", "Messages", "Sent on", "Errors")
    following = asked.again(rules=answer["nextToken"]) if answer.get("nextToken") else None
    return panel("Rules", table(columns, rows, numbers=columns[3:], nothing="No rule: what devices say goes nowhere yet."),
                 pages(asked.again(rules=None) if asked.get("rules") else None, following))  # fmt: skip


def _things(asked: Asked, answer: dict[str, Any]) -> h.Element:
    rows = [
        (
            h.a(href=to("iot/thing", thing=one["thingName"]))[one["thingName"]],
            one.get("thingTypeName", "—"),
            ", ".join(f"{name}={value}" for name, value in one.get("attributes", {}).items()) or "—",
            count(one["version"]),
        )
        for one in answer["things"]
    ]
    following = asked.again(things=answer["nextToken"]) if answer.get("nextToken") else None
    return panel("Things", table(("Thing", "Type", "Attributes", "Version"), rows, numbers=("Version",), key="things-table"),
                 pages(asked.again(things=None) if asked.get("things") else None, following))  # fmt: skip


def _certificates(backend: Backend, answer: dict[str, Any]) -> h.Element:
    now = backend.clock.now()
    rows = [
        (h.code[one["certificateId"]], state(one["status"]), time_of(now, one["creationDate"]))
        for one in answer.get("certificates", [])
    ]
    return panel("Certificates", table(("Certificate", "State", "Made"), rows))


async def rule(backend: Backend, asked: Asked) -> Page:
    """One rule."""
    name = asked.get("rule")
    answer = await backend.call("iot", "GetTopicRule", {"ruleName": name}, backend.scope)
    told = answer["rule"]
    meter = meter_of(backend, answer["ruleArn"])
    price = requests(meter["recordsIn"], IOT_RULE_MILLION) + requests(meter["recordsOut"], IOT_ACTION_MILLION)
    details = [
        ("ARN", h.code[answer["ruleArn"]]),
        ("State", state("DISABLED" if told.get("ruleDisabled") else "ENABLED")),
        ("SQL version", told.get("awsIotSqlVersion", "—")),
        ("Made", moment(told["createdAt"])),
        ("Description", told.get("description") or "—"),
        cost(price, "for rules triggered and actions taken so far"),
    ]
    actions = [h.pre(tabindex="0")[json.dumps(one, indent=2)] for one in told.get("actions", [])]
    content = [
        tiles(tiles_of(backend, answer["ruleArn"])),
        panel("Rule", facts(details), h.pre(tabindex="0")[told["sql"]]),
        panel("Actions", actions or h.p(".nothing")["None."]),
        panel("When an action fails", h.pre(tabindex="0")[json.dumps(told["errorAction"], indent=2)])
        if told.get("errorAction")
        else None,
        trying(backend, told["sql"], topic=topic_for(_topics(told["sql"]))),
    ]
    lead = "Which messages it takes, what it makes of them, where it sends them."
    return Page(name, lead, CURRENT, content, crumbs=(("IoT", CURRENT),))


def _topics(sql: str) -> str:
    """The topic filter of FROM."""
    found = re.search(r"(?i)\bFROM\s+'([^']*)'", sql)
    return found[1] if found else ""


async def thing(backend: Backend, asked: Asked) -> Page:
    """One thing with the certificates it connects by."""
    name = asked.get("thing")
    told = await backend.call("iot", "DescribeThing", {"thingName": name}, backend.scope)
    principals = await backend.call("iot", "ListThingPrincipals", {"thingName": name}, backend.scope)
    content = [
        panel(
            "Thing",
            facts(
                [
                    ("ARN", h.code[told["thingArn"]]),
                    ("Type", told.get("thingTypeName", "—")),
                    ("Default client id", told.get("defaultClientId", name)),
                    ("Version", count(told["version"])),
                ]
            ),
        ),
        panel("Attributes", mapping(told.get("attributes", {}))),
        panel("Connects by", table(("Principal",), [(h.code[one],) for one in principals.get("principals", [])])),
    ]
    return Page(name, "What this device is and what it connects with.", CURRENT, content, crumbs=(("IoT", CURRENT),))
