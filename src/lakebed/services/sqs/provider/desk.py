"""From a request to its queue: the queue URL is read, the permission asked for, the queue found.

A queue URL names account and queue in its last two path segments; any host is taken, since clients reach one house by
several names. The permission is asked for here and not in the edge because the queue's own policy counts too.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html
"""

from __future__ import annotations

from urllib.parse import urlsplit

from lakebed.api import sqs as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context
from lakebed.services.sqs.exchange import Exchange
from lakebed.services.sqs.model import Queue


class Desk:
    """What every provider of SQS starts from."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.k = exchange.k

    def queue(self, ctx: Context, url: str, action: str) -> Queue:
        """The queue of ``url``, once the caller may do ``sqs:<action>`` there."""
        try:
            parts = urlsplit(url).path.rstrip("/").split("/")
        except ValueError:
            parts = []
        if len(parts) < 3 or not (parts[-2].isdigit() and len(parts[-2]) == 12):
            raise api.InvalidAddress(f"The address {url[:200]} is not valid for this endpoint.")
        scope = Scope(parts[-2], ctx.scope.region, ctx.scope.partition)
        return self.exchange.authorised(ctx.principal, f"sqs:{action}", scope.arn("sqs", parts[-1]))


def url_of(ctx: Context, queue: Queue) -> str:
    """The queue's URL as this caller reaches it."""
    return f"{ctx.endpoint}/{queue.scope.account}/{queue.name}"
