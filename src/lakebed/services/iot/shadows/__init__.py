"""Device shadows: a thing's desired and reported state, kept while the device is away.

``document`` merges states and computes what differs (pure), ``store`` keeps them, ``keeper`` serves both ways in (the
HTTP operations of ``provider.shadows`` and the reserved MQTT topics) and tells subscribers what became of it.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-device-shadows.html. A thing need not be registered to have
shadows, as on AWS.
"""
