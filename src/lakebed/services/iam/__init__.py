"""IAM: users, roles, managed and inline policies, access keys, and the evaluation every call of Lakebed goes through.

Follows the IAM API reference (https://docs.aws.amazon.com/IAM/latest/APIReference/welcome.html) and the evaluation logic
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html). Nothing is accepted without
a key that exists here: the development principal (``[seed]``, test/test as root of 000000000000) is a stored key like any
other. Secrets are sealed with a master key outside the database (``vault``); temporary credentials (STS, Lambda) are rows
too, so they survive a restart.

Not built, and so answered 501: groups, login profiles, MFA, SAML and OIDC providers, instance profiles, service-linked
roles, reports. See docs/deviations/iam.md.
"""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import GLOBAL_REGION, Scope
from lakebed.kernel.vault import Vault
from lakebed.ports.house import Ports
from lakebed.ports.service import Service, operations_of
from lakebed.services.iam.model import Key
from lakebed.services.iam.port import IamIdentity
from lakebed.services.iam.provider.access_keys import AccessKeys
from lakebed.services.iam.provider.holders import Holders
from lakebed.services.iam.provider.policies import Policies
from lakebed.services.iam.provider.roles import Roles
from lakebed.services.iam.provider.simulate import Simulations
from lakebed.services.iam.provider.users import Users
from lakebed.services.iam.work import Housekeeping


def service(k: Kernel, p: Ports) -> Service:
    """IAM, with the seeded development principal in a new data directory; sets ``p.identity``."""
    k.db.migrate("iam", "lakebed.services.iam", k.clock)
    vault = Vault(k.data / "iam.master.key", k.ids)
    identity = p.identity = IamIdentity(k, vault)
    seed = k.settings.seed
    if seed.access_key_id:
        seed_root(k, identity, vault, (seed.account, seed.access_key_id, seed.secret_access_key))
    holders = Holders(k, identity)
    providers = (
        Users(holders), Roles(holders), Policies(holders), AccessKeys(holders, vault), Simulations(identity),
    )  # fmt: skip
    return Service(name="iam", operations=operations_of(*providers, prefix="iam"), tasks=[Housekeeping(k, identity)])


def seed_root(k: Kernel, identity: IamIdentity, vault: Vault, seed: tuple[str, str, str]) -> None:
    """A key of an account's root as the settings have it: made when absent, replaced when its secret was changed there."""
    account, key_id, secret = seed
    scope = Scope(account, GLOBAL_REGION)
    present = identity.keys.find(key_id)
    if present is not None and present.account == account and vault.open(present.sealed, key_id) == secret:
        return
    key = Key(key_id, account, account, "Active", k.clock.now(), vault.seal(secret, key_id), None, "N/A", "N/A")
    with k.db.tx() as tx:
        if present is not None:
            identity.keys.delete(tx, Scope(present.account, GLOBAL_REGION), key_id)
        identity.keys.add(tx, scope, key)
        tx.after_commit(identity.forget)
