"""Jobs: documents that things fetch, work on and report about.

``model`` has states and what may follow what (pure), ``store`` the tables, ``keeper`` what devices ask over MQTT and
``iot-jobs-data`` and what they are told, ``work`` the rollout, timeouts and the end of a job, on the clock.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-jobs.html
"""
