"""What users and roles have in common: tags, boundaries, inline and attached policies, pages of a listing.

Both are *holders* of policies. Operations name their kind and pass on; messages are AWS's.
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-vs-inline.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from lakebed.api import iam as api
from lakebed.kernel.db import Tx
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, ResourceOf
from lakebed.services.iam import documents, managed, model
from lakebed.services.iam.model import Entity
from lakebed.services.iam.port import IamIdentity

_Item = TypeVar("_Item")


def arn_of(kind: str, member: str) -> ResourceOf:
    """The ARN a permission on a user or role is asked for; ``*`` where the member is absent."""

    def resource(scope: Scope, request: Request) -> str:
        name = request.get(member)
        return scope.global_arn("iam", f"{kind}{request.get('Path', '/')}{name}") if name else "*"

    return resource


def policy_arn(_: Scope, request: Request) -> str:
    """The ARN of a managed policy named in the request."""
    return str(request["PolicyArn"])


def encoded(document: str) -> str:
    """A document as IAM returns it: URL-encoded."""
    return quote(document, safe="")


def paged(
    items: Sequence[_Item], key: Callable[[_Item], str], req: Mapping[str, Any]
) -> tuple[list[_Item], dict[str, Any]]:
    """A page of a listing in the order of ``key``, and the members that tell of more."""
    ordered = sorted(items, key=key)
    chosen, marker = model.page(ordered, [key(item) for item in ordered], req.get("Marker"), req.get("MaxItems"))
    return chosen, {"IsTruncated": marker is not None, **({"Marker": marker} if marker is not None else {})}


class Holders:
    """Operations on entities, without their API shapes."""

    def __init__(self, k: Kernel, identity: IamIdentity) -> None:
        self.k, self.identity = k, identity
        self.entities, self.policies, self.keys = identity.entities, identity.policies, identity.keys

    def changed(self, tx: Tx) -> None:
        """What was compiled from IAM's rows is void after this commit."""
        tx.after_commit(self.identity.forget)

    def require(self, ctx: Context, kind: str, name: str) -> Entity:
        """The entity or NoSuchEntity."""
        entity = self.entities.find(ctx.scope.at_global(), kind, name)
        if entity is None:
            raise api.NoSuchEntityException(f"The {kind} with name {name} cannot be found.", status=404)
        return entity

    def create(self, ctx: Context, entity: Entity, limit: int) -> None:
        """Insert a new entity; EntityAlreadyExists, LimitExceeded."""
        scope = ctx.scope.at_global()
        if self.entities.find(scope, entity.kind, entity.name) is not None:
            raise api.EntityAlreadyExistsException(
                f"{entity.kind.capitalize()} with name {entity.name} already exists.", status=409
            )
        if self.entities.count(scope, entity.kind) >= limit:
            raise api.LimitExceededException(
                f"Cannot exceed quota for {entity.kind.capitalize()}sPerAccount: {limit}", status=409
            )
        if entity.boundary:
            self.require_policy(ctx, entity.boundary)
        with self.k.db.tx() as tx:
            self.entities.put(tx, scope, entity)
            self.changed(tx)

    def change(self, ctx: Context, entity: Entity, **fields: Any) -> Entity:
        """Store the entity with some fields replaced."""
        new = msgspec.structs.replace(entity, **fields)
        with self.k.db.tx() as tx:
            if new.name.lower() != entity.name.lower():
                self.entities.delete(tx, ctx.scope.at_global(), entity)
            self.entities.put(tx, ctx.scope.at_global(), new)
            self.changed(tx)
        return new

    def delete(self, ctx: Context, entity: Entity) -> None:
        """Remove an entity that has no policies left; DeleteConflict."""
        scope = ctx.scope.at_global()
        if self.entities.attached(scope, entity.id):
            raise api.DeleteConflictException("Cannot delete entity, must detach all policies first.", status=409)
        if self.entities.inline(scope, entity.id):
            raise api.DeleteConflictException("Cannot delete entity, must delete policies first.", status=409)
        if entity.kind == model.USER and self.keys.of(scope, entity.id):
            raise api.DeleteConflictException("Cannot delete entity, must delete access keys first.", status=409)
        with self.k.db.tx() as tx:
            self.entities.delete(tx, scope, entity)
            self.changed(tx)

    def require_policy(self, ctx: Context, arn: str) -> None:
        """NoSuchEntity unless the managed policy exists for this account."""
        if self.identity.managed_policy(arn, ctx.scope.account) is None:
            raise api.NoSuchEntityException(f"Policy {arn} does not exist or is not attachable.", status=404)

    def set_boundary(self, ctx: Context, entity: Entity, arn: str) -> None:
        """Put or (empty) remove the permissions boundary."""
        if arn:
            self.require_policy(ctx, arn)
        elif not entity.boundary:
            raise api.NoSuchEntityException(
                f"{entity.kind.capitalize()} {entity.name} does not have a permission boundary.", status=404
            )
        self.change(ctx, entity, boundary=arn)

    def attach(self, ctx: Context, entity: Entity, arn: str) -> None:
        """Attach a managed policy."""
        self.require_policy(ctx, arn)
        scope = ctx.scope.at_global()
        attached = self.entities.attached(scope, entity.id)
        if arn not in attached and len(attached) >= model.ATTACHED_MAX:
            raise api.LimitExceededException(
                f"Cannot exceed quota for PoliciesPer{entity.kind.capitalize()}: {model.ATTACHED_MAX}", status=409
            )
        with self.k.db.tx() as tx:
            self.entities.attach(tx, scope, entity.id, arn)
            self.changed(tx)

    def detach(self, ctx: Context, entity: Entity, arn: str) -> None:
        """Detach a managed policy."""
        with self.k.db.tx() as tx:
            if not self.entities.detach(tx, ctx.scope.at_global(), entity.id, arn):
                raise api.NoSuchEntityException(f"Policy {arn} was not found.", status=404)
            self.changed(tx)

    def list_attached(self, ctx: Context, entity: Entity, req: Mapping[str, Any]) -> dict[str, Any]:
        """ListAttached…Policies."""
        prefix = req.get("PathPrefix", "/")
        arns = [
            arn
            for arn in self.entities.attached(ctx.scope.at_global(), entity.id)
            if f"/{arn.partition('policy/')[2]}".startswith(prefix)
        ]
        chosen, more = paged(arns, lambda arn: arn.rpartition("/")[2], req)
        return {
            "AttachedPolicies": [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in chosen],
            **more,
        }

    def put_inline(self, ctx: Context, entity: Entity, name: str, document: str) -> None:
        """Put…Policy; the quota is over all inline policies of the entity."""
        limit = model.USER_INLINE_SIZE_MAX if entity.kind == model.USER else model.ROLE_INLINE_SIZE_MAX
        documents.check_identity(document, limit)
        scope = ctx.scope.at_global()
        others = [text for other, text in self.entities.inline(scope, entity.id).items() if other != name]
        if sum(len("".join(text.split())) for text in [*others, document]) > limit:
            raise api.LimitExceededException(
                f"Maximum policy size of {limit} bytes exceeded for {entity.kind} {entity.name}", status=409
            )
        with self.k.db.tx() as tx:
            self.entities.put_inline(tx, scope, entity.id, name, document)
            self.changed(tx)

    def inline(self, ctx: Context, entity: Entity, name: str) -> str:
        """The document of an inline policy, encoded; NoSuchEntity."""
        document = self.entities.inline(ctx.scope.at_global(), entity.id).get(name)
        if document is None:
            raise api.NoSuchEntityException(f"The {entity.kind} policy with name {name} cannot be found.", status=404)
        return encoded(document)

    def delete_inline(self, ctx: Context, entity: Entity, name: str) -> None:
        """Delete…Policy."""
        with self.k.db.tx() as tx:
            if not self.entities.delete_inline(tx, ctx.scope.at_global(), entity.id, name):
                raise api.NoSuchEntityException(
                    f"The {entity.kind} policy with name {name} cannot be found.", status=404
                )
            self.changed(tx)

    def list_inline(self, ctx: Context, entity: Entity, req: Mapping[str, Any]) -> dict[str, Any]:
        """List…Policies."""
        names, more = paged(list(self.entities.inline(ctx.scope.at_global(), entity.id)), str, req)
        return {"PolicyNames": names, **more}

    def list_tags(self, tags: Mapping[str, str], req: Mapping[str, Any]) -> dict[str, Any]:
        """List…Tags."""
        chosen, more = paged(model.tag_list(tags), lambda tag: tag["Key"], req)
        return {"Tags": chosen, **more}


def boundary_member(entity: Entity) -> dict[str, Any]:
    """The PermissionsBoundary member of a user or role."""
    if not entity.boundary:
        return {}
    return {
        "PermissionsBoundary": {
            "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
            "PermissionsBoundaryArn": entity.boundary,
        }
    }


def refuse_managed(arn: str) -> None:
    """AWS's own policies are not changed by customers."""
    if managed.is_managed(arn):
        raise api.InvalidInputException(f"ARN {arn} is not valid for this operation: it is an AWS managed policy.")
