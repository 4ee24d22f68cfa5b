"""AWS IoT Core: registry, certificates, policies, rules, jobs (``iot``), ``iot-data`` and ``iot-jobs-data``.

Follows https://docs.aws.amazon.com/iot/latest/developerguide/what-is-aws-iot.html and the API reference. Devices speak to
``lakebed.edge.mqtt``, which asks ``gate`` for permission and hands their messages to ``rules``: the seam is
``lakebed.ports.devices``. ``sql/`` is the rules' language, ``actions`` what rules do, ``policy`` the policy language.

Refused by name or not listed: dynamic groups, job templates, fleet provisioning, custom
authorizers, Device Defender, fleet indexing, rule destinations (see docs/deviations/iot.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Link, Service, operations_of
from lakebed.services.iot.alias_store import AliasStore
from lakebed.services.iot.authority_store import AuthorityStore
from lakebed.services.iot.gate import Gate
from lakebed.services.iot.group_store import GroupStore
from lakebed.services.iot.https import DeviceHttps
from lakebed.services.iot.jobs.keeper import JobKeeper
from lakebed.services.iot.jobs.keeper import parse_topic as parse_job_topic
from lakebed.services.iot.jobs.store import JobStore
from lakebed.services.iot.jobs.work import JobWork
from lakebed.services.iot.provider.authorities import AuthorityOperations
from lakebed.services.iot.provider.authorization import AuthorizationOperations
from lakebed.services.iot.provider.billing_groups import BillingGroupOperations
from lakebed.services.iot.provider.certificates import CertificateOperations
from lakebed.services.iot.provider.data import DataOperations
from lakebed.services.iot.provider.endpoint import EndpointOperations
from lakebed.services.iot.provider.job_executions import JobExecutionOperations
from lakebed.services.iot.provider.jobs import JobOperations
from lakebed.services.iot.provider.jobs_data import JobsDataOperations
from lakebed.services.iot.provider.logging import LoggingOperations
from lakebed.services.iot.provider.policies import PolicyOperations
from lakebed.services.iot.provider.role_aliases import RoleAliasOperations
from lakebed.services.iot.provider.rules import RuleOperations
from lakebed.services.iot.provider.shadows import ShadowOperations
from lakebed.services.iot.provider.thing_groups import ThingGroupOperations
from lakebed.services.iot.provider.thing_types import ThingTypeOperations
from lakebed.services.iot.provider.things import ThingOperations
from lakebed.services.iot.registration import Registration
from lakebed.services.iot.reserved import Reserved
from lakebed.services.iot.rules import RuleEngine
from lakebed.services.iot.shadows.keeper import ShadowKeeper, parse_topic
from lakebed.services.iot.shadows.store import ShadowStore
from lakebed.services.iot.state import Core
from lakebed.services.iot.store import IotStore
from lakebed.services.iot.trial import RuleTrial


def service(k: Kernel, p: Ports) -> list[Service]:
    """Wire IoT Core; needs ``p.broker`` and ``p.authority`` when it starts, sets ``p.gate`` and
    ``p.rules``."""
    k.db.migrate("iot", "lakebed.services.iot", k.clock)
    store = IotStore(k.db)
    engine = RuleEngine(k, p, store)
    reserved = Reserved()
    groups = GroupStore(k.db)
    core = Core(k, p, store, engine, Gate(p, store, engine, reserved, engine.log), reserved, groups)
    p.gate, p.rules = core.gate, RuleTrial(k, p, store)
    shadows = ShadowKeeper(k, p, ShadowStore(k.db), engine)
    aliases = AliasStore(k.db)
    core.gate.unknown = Registration(k, p, store, engine).meet
    core.gate.https_answer = DeviceHttps(core, shadows, aliases).answer
    reserved.add(lambda topic: parse_topic(topic) is not None, shadows.answer)

    keeper = JobKeeper(k, JobStore(k.db), engine)
    work = JobWork(keeper, groups)
    reserved.add(lambda topic: parse_job_topic(topic) is not None, keeper.answer)

    async def start() -> None:
        for pem in (*store.foreign_pems(), *AuthorityStore(k.db).pems()):
            p.authority.trust(pem)

    def topology(scope: Scope) -> Sequence[Link]:
        return engine.links(scope)

    providers = (
        ThingOperations(core), ThingTypeOperations(core), CertificateOperations(core), PolicyOperations(core),
        RuleOperations(core), EndpointOperations(core), RoleAliasOperations(core, aliases), AuthorityOperations(core),
        LoggingOperations(core, engine.log), ThingGroupOperations(core, groups), BillingGroupOperations(core, groups),
        AuthorizationOperations(core), JobOperations(core, work, groups), JobExecutionOperations(core, keeper),
    )  # fmt: skip
    return [
        Service("iot", operations_of(*providers, prefix="iot"), tasks=[work], topology=topology, start=start),
        Service("iot-data", operations_of(DataOperations(core), ShadowOperations(core, shadows), prefix="iot")),
        Service("iot-jobs-data", operations_of(JobsDataOperations(keeper), prefix="iotjobsdata")),
    ]
