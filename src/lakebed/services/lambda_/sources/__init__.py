"""Event source mappings: Lambda reads a queue or a stream in the function's name and calls it with batches.

- ``mapping.py``  a mapping's settings, validated with AWS's messages.
- ``store.py``  mappings and the checkpoints of streams.
- ``events.py``  the event documents, and what the function answers about single records.
- ``filters.py``  which records the function is to see.
- ``kinds.py``  the seam: what a kind of source is, and the two there are.
- ``queue_poller.py``, ``stream_poller.py``  the task of one mapping.
- ``lanes.py``, ``tumbling.py``  several batches of a shard at the same time; windows with a state.
- ``pollers.py``  starts and stops the tasks as mappings come and go.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html
"""
