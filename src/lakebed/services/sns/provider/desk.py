"""From a request to its topic: the ARN is read, the permission asked for, the topic found.

The permission is asked for here and not in the edge because the topic's own policy counts too. Pages and tags are here,
as several operations have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakebed.api import sns as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context
from lakebed.services.sns.model import Topic, invalid
from lakebed.services.sns.publishing import Publisher

PAGE_MAX = 100
_TAGS_MAX = 50


class Desk:
    """What every provider of SNS starts from."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.k, self.p = publisher.k, publisher.p

    def topic(self, ctx: Context, arn: str, action: str) -> Topic:
        """The topic of ``arn``, once the caller may do ``sns:<action>`` there."""
        try:
            return self.publisher.authorised(ctx.principal, action, arn)
        except AwsError as failure:
            if failure.error_code in ("AccessDenied", "AccessDeniedException"):
                raise api.AuthorizationErrorException(failure.message) from None
            raise


def bad_token() -> AwsError:
    """A page token that is none of ours."""
    return invalid("nextToken Reason: Input token is invalid")


def checked_tags(known: Mapping[str, str], added: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Tags with more of them."""
    keys = [str(tag["Key"]) for tag in added]
    if len(set(keys)) != len(keys):
        raise invalid("Duplicated keys are not allowed.")
    for tag in added:
        if not 1 <= len(tag["Key"]) <= 128 or len(tag["Value"]) > 256 or tag["Key"].lower().startswith("aws:"):
            raise invalid("Tags Reason: keys have 1 to 128 characters and do not begin with aws:, values up to 256")
    tags = dict(known) | {tag["Key"]: tag["Value"] for tag in added}
    if len(tags) > _TAGS_MAX:
        raise api.TagLimitExceededException("Could not complete request: tag quota of per resource exceeded")
    return tags
