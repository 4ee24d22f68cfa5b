"""What a statement would cost on AWS: USD 5 for each terabyte scanned, at least 10 MB a query; DDL and failures are free.

https://aws.amazon.com/athena/pricing/ (us-east-1). A teaching aid of the console, not a bill.
"""

from __future__ import annotations

_TERABYTE, _MEGABYTE = 1 << 40, 1 << 20
USD_PER_TERABYTE = 5.0


def price_usd(scanned_bytes: int, statement_type: str, *, state: str = "SUCCEEDED") -> float:
    """Dollars for one execution."""
    if statement_type != "DML" or state == "FAILED" or (state == "CANCELLED" and not scanned_bytes):
        return 0.0
    megabytes = max(10, -(-scanned_bytes // _MEGABYTE))
    return megabytes * _MEGABYTE / _TERABYTE * USD_PER_TERABYTE
