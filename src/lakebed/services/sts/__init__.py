"""STS: who am I, and temporary credentials of roles and users.

Follows https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html. Sessions are durable rows of IAM's (through
``ports.identity``) with an expiry, removed by IAM's housekeeping a day after they ended. MFA, web identity and SAML
federation are not built. See docs/deviations/sts.md.
"""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.service import Service, operations_of
from lakebed.services.sts.provider import Sts


def service(_: Kernel, p: Ports) -> Service:
    """STS; needs ``p.identity`` when it is called."""
    return Service(name="sts", operations=operations_of(Sts(p), prefix="sts"))
