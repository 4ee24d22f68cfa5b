"""Runs one test of Paho's suite in a process of its own: ``driver.py MODULE TEST PORT QOS``, in the suite's folder.

``QOS`` 1 asks for QoS 1 wherever the suite asks for 2, which AWS IoT Core (and so Lakebed) does not have.
"""

from __future__ import annotations

import importlib
import sys
import unittest
from typing import Any


def capped(client: Any, most: int) -> None:
    """Let the suite's client ask for at most ``most``."""
    publish, subscribe, connect = client.publish, client.subscribe, client.connect

    def lower(wanted: Any) -> Any:
        if isinstance(wanted, int):
            return min(wanted, most)
        wanted.QoS = min(wanted.QoS, most)
        return wanted

    def capped_publish(self: Any, topic: Any, payload: Any, qos: int = 0, *rest: Any, **named: Any) -> Any:
        return publish(self, topic, payload, min(qos, most), *rest, **named)

    def capped_subscribe(self: Any, topics: Any, wanted: Any, *rest: Any, **named: Any) -> Any:
        return subscribe(self, topics, [lower(one) for one in wanted], *rest, **named)

    def capped_connect(self: Any, *rest: Any, **named: Any) -> Any:
        if named.get("willFlag"):
            named["willQoS"] = min(named.get("willQoS", 2), most)
        return connect(self, *rest, **named)

    client.publish, client.subscribe, client.connect = capped_publish, capped_subscribe, capped_connect


def main(module: str, test: str, port: str, qos: str) -> int:
    """0 where the test passed."""
    sys.path.insert(0, ".")
    suite: Any = importlib.import_module(module)
    suite.host, suite.port = "127.0.0.1", int(port)
    suite.topics = ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")
    suite.wildtopics = ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")
    suite.nosubscribe_topics, suite.topic_prefix = ("test/nosubscribe",), "client_test5/"
    if hasattr(suite, "setData"):
        suite.setData()
    if int(qos) < 2:
        capped(suite.mqtt_client.Client, int(qos))
    case = unittest.defaultTestLoader.loadTestsFromName(f"Test.{test}", suite)
    return 0 if unittest.TextTestRunner(verbosity=2).run(case).wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
