"""MQTT 3.1.1 and 5 as bytes and values, with no socket and no clock (sans-io).

``Decoder.feed(bytes)`` yields packets, ``encode(packet, version)`` gives bytes; ``topics`` knows filters. Both directions
are here, although a server only needs one half of each: round trips prove the codec against itself, and the load
generator speaks with it.

Follows the OASIS standards, normative statement by normative statement where a server can tell:
https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html and
https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html. Refused on purpose: MQTT 3.1 (``MQIsdp``), and QoS 2
with its handshake packets, because AWS IoT Core has neither
(https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html#mqtt-differences).
"""
