"""Run the Eclipse Paho MQTT conformance tests (3.1.1 and 5) against a real ``lakebed up`` and count.

    git clone https://github.com/eclipse/paho.mqtt.testing ../paho.mqtt.testing
    python -m tests.compat.mqtt --suite ../paho.mqtt.testing              as they are
    python -m tests.compat.mqtt --suite ../paho.mqtt.testing --qos 1      asking for QoS 1 where they ask for 2
    python -m tests.compat.mqtt --suite ../paho.mqtt.testing -k retained  some of them

The suite speaks plain TCP and Lakebed, like AWS IoT Core, only TLS with client certificates: a small proxy in between puts
TLS on. Every test runs in a process of its own; the results and their reasons are in docs/conformance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.crash.rig import Server

MODULES = ("client_test", "client_test5")
_TEST = re.compile(r"^    def (test\w+)\(self\)", re.MULTILINE)
_SECONDS_MAX = 150
_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "iot:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "iot:Subscribe", "Resource": "*:topicfilter/test/nosubscribe"},
    ],
}


class Proxy:
    """Plain TCP in, TLS with a client certificate out, on a loop of its own."""

    def __init__(self, target: int, context: ssl.SSLContext) -> None:
        self._target, self._context = target, context
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()

        def run() -> None:
            self._loop.run_until_complete(serve())
            self._loop.run_forever()

        threading.Thread(target=run, daemon=True).start()
        ready.wait(10)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(
            "127.0.0.1", self._target, ssl=self._context, server_hostname="localhost"
        )

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            with contextlib.suppress(OSError):
                sink.close()

        await asyncio.gather(pump(reader, back), pump(there, writer))


def credentials(server: Server, folder: Path) -> ssl.SSLContext:
    """A device that may do everything but subscribe to ``test/nosubscribe``."""
    iot = server.client("iot")
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_policy(policyName="paho", policyDocument=json.dumps(_POLICY))
    iot.attach_policy(policyName="paho", target=made["certificateArn"])
    certificate, key = folder / "device.pem", folder / "device.key"
    certificate.write_text(made["certificatePem"])
    key.write_text(made["keyPair"]["PrivateKey"])
    context = ssl.create_default_context(cafile=str(server.data / "mqtt" / "ca.pem"))
    context.load_cert_chain(certificate, key)
    return context


def run_one(folder: Path, module: str, test: str, port: int, qos: int) -> tuple[bool, str]:
    """Whether a test passed, and the last line it wrote."""
    driver = Path(__file__).with_name("driver.py")
    command = [sys.executable, str(driver), module, test, str(port), str(qos)]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        return False, f"not done after {_SECONDS_MAX} seconds"
    told = (done.stdout + done.stderr).strip().splitlines()
    wrong = [line for line in told if "Error" in line or "assert" in line.lower()]
    return done.returncode == 0, wrong[0].strip() if wrong else ""


def main() -> int:
    """The process's exit status: 0 where the suite could be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.compat.mqtt", description=__doc__)
    parser.add_argument("--suite", type=Path, required=True, help="a checkout of eclipse/paho.mqtt.testing")
    parser.add_argument("--qos", type=int, default=2, choices=(1, 2))
    parser.add_argument("-k", default="", help="only tests whose name contains this")
    options = parser.parse_args()
    folder = options.suite / "interoperability"
    with tempfile.TemporaryDirectory() as temporary:
        server = Server(Path(temporary) / "data")
        server.start()
        try:
            proxy = Proxy(server.mqtt_port, credentials(server, Path(temporary)))
            for module in MODULES:
                tests = [name for name in _TEST.findall((folder / f"{module}.py").read_text()) if options.k in name]
                passed = 0
                for test in tests:
                    is_good, why = run_one(folder, module, test, proxy.port, options.qos)
                    passed += is_good
                    print(f"{module}.{test}: {'passed' if is_good else f'FAILED  {why}'}", flush=True)
                print(f"{module}: {passed} of {len(tests)} passed", flush=True)
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
