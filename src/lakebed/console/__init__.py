"""The web console's server half: pages in typed Python (htpy), drawn by the server, made live by a little script.

It reads through the same operations any client calls (``backend.call`` is the edge's loopback: parse, permission, journal)
and through the read-only flow view; every page shows the call that would give the same in the CLI. Assets are built once
from ``web/`` and shipped in the wheel: no CDN, no Node for users.
"""
