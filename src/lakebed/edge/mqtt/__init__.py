"""The MQTT door: TLS listener, sessions, subscriptions, retained messages and wills, as AWS IoT Core's message broker.

What it follows: https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html (protocol, sessions, retained messages,
wills, shared subscriptions), https://docs.aws.amazon.com/general/latest/gr/iot-core.html (limits, in ``limits.py``) and
https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html.

Who may do what and which rules run is not known here: ``lakebed.ports.devices.DeviceGate`` is asked. The door owns

- ``authority``  our certificate authority and the server's certificate (files under ``data/mqtt``, keys 0600),
- ``tree``       topic filters to subscribers,
- ``session``    what outlives a connection: subscriptions and the QoS 1 queue, durable in ``store``,
- ``broker``     routing between sessions, retained messages, ``lakebed.ports.devices.Broker``,
- ``connection`` one socket: packets in, packets out, back-pressure,
- ``door``       the listener and the sweep (keep alive, expiry, delayed wills),
- ``websocket``  MQTT inside WebSocket, signed with SigV4, for this door and the HTTP one,
- ``devicehttp`` HTTPS for devices with certificates on the same port, ``subjects`` what a certificate says of itself.

Refused: QoS 2, enhanced authentication (AUTH), custom authorizers, devices' own publications to ``$aws/`` topics that the
gate does not answer (it answers shadows and jobs) and that are not basic ingest.
"""
