"""The Eclipse Paho MQTT conformance tests against a real ``lakebed up``."""
