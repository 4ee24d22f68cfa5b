"""Who may use a key: its policy rules, IAM where the policy names the account, grants beside both; and the port."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from lakebed.services import iam, kms
from tests.harness import ROOT, SCOPE, Harness

BOB = "arn:aws:iam::000000000000:user/bob"
ADMIN = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "kms:*", "Resource": "*"}


@pytest.fixture
async def house(harness: Harness) -> AsyncIterator[Harness]:
    harness.add(iam.service, kms.service)
    await harness.start()
    return harness


async def user(house: Harness, name: str, *statements: dict[str, Any]) -> Principal:
    made = (await house.call("iam", "CreateUser", UserName=name))["User"]
    if statements:
        await house.call("iam", "PutUserPolicy", UserName=name, PolicyName="p", PolicyDocument=document(*statements))
    return Principal("000000000000", made["Arn"], "user", made["UserId"], made["Arn"])


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


async def call(house: Harness, operation: str, **params: Any) -> dict[str, Any]:
    return await house.call("kms", operation, **params)


async def expect_denial(house: Harness, caller: Principal, operation: str, **params: Any) -> None:
    with pytest.raises(AwsError) as caught:
        await house.call("kms", operation, caller=caller, **params)
    assert caught.value.error_code == "AccessDeniedException", caught.value


async def new_key(house: Harness, **params: Any) -> str:
    return str((await call(house, "CreateKey", **params))["KeyMetadata"]["KeyId"])


async def test_the_default_policy_leaves_it_to_iam(house: Harness) -> None:
    key = await new_key(house)
    bob = await user(house, "bob", {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"})
    assert await call(house, "Encrypt", caller=bob, KeyId=key, Plaintext=b"x")
    blob = (await call(house, "Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    await expect_denial(house, bob, "Decrypt", CiphertextBlob=blob)
    assert (await call(house, "Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"  # root


async def test_a_policy_that_does_not_name_the_account_rules_alone(house: Harness) -> None:
    everything = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    bob, eve = await user(house, "bob"), await user(house, "eve", everything)
    only_bob = {"Effect": "Allow", "Principal": {"AWS": BOB}, "Action": ["kms:*"], "Resource": "*"}
    with pytest.raises(AwsError, match="will not allow you to update"):
        await call(house, "CreateKey", Policy=document(only_bob))
    key = await new_key(house, Policy=document(only_bob), BypassPolicyLockoutSafetyCheck=True)
    assert await call(house, "Encrypt", caller=bob, KeyId=key, Plaintext=b"x")
    await expect_denial(house, eve, "Encrypt", KeyId=key, Plaintext=b"x")
    await expect_denial(house, ROOT, "Encrypt", KeyId=key, Plaintext=b"x")


async def test_conditions_see_the_encryption_context(house: Harness) -> None:
    bob = await user(house, "bob")
    statement = {
        "Effect": "Allow", "Principal": {"AWS": BOB}, "Action": "kms:Decrypt", "Resource": "*",
        "Condition": {"StringEquals": {"kms:EncryptionContext:team": "data"}},
    }  # fmt: skip
    key = await new_key(house, Policy=document(ADMIN, statement))
    for team, is_allowed in (("data", True), ("web", False)):
        context = {"team": team}
        blob = (await call(house, "Encrypt", KeyId=key, Plaintext=b"x", EncryptionContext=context))["CiphertextBlob"]
        if is_allowed:
            assert await call(house, "Decrypt", caller=bob, CiphertextBlob=blob, EncryptionContext=context)
        else:
            await expect_denial(house, bob, "Decrypt", CiphertextBlob=blob, EncryptionContext=context)


async def test_a_grant_counts_until_it_is_revoked(house: Harness) -> None:
    key, bob = await new_key(house), await user(house, "bob")
    made = await call(
        house, "CreateGrant", KeyId=key, GranteePrincipal=BOB, Operations=["Decrypt", "RetireGrant"], Name="n",
        Constraints={"EncryptionContextSubset": {"a": "1"}},
    )  # fmt: skip
    context = {"a": "1", "b": "2"}
    blob = (await call(house, "Encrypt", KeyId=key, Plaintext=b"x", EncryptionContext=context))["CiphertextBlob"]
    bare = (await call(house, "Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    assert await call(house, "Decrypt", caller=bob, CiphertextBlob=blob, EncryptionContext=context)
    await expect_denial(house, bob, "Decrypt", CiphertextBlob=bare)
    await expect_denial(house, bob, "Encrypt", KeyId=key, Plaintext=b"x", EncryptionContext=context)
    listed = (await call(house, "ListGrants", KeyId=key))["Grants"]
    assert [one["GrantId"] for one in listed] == [made["GrantId"]]
    again = await call(
        house, "CreateGrant", KeyId=key, GranteePrincipal=BOB, Operations=["Decrypt", "RetireGrant"], Name="n",
        Constraints={"EncryptionContextSubset": {"a": "1"}},
    )  # fmt: skip
    assert again == made
    await call(house, "RetireGrant", caller=bob, GrantToken=made["GrantToken"])
    await expect_denial(house, bob, "Decrypt", CiphertextBlob=blob, EncryptionContext=context)
    with pytest.raises(AwsError, match="NotFoundException"):
        await call(house, "RevokeGrant", KeyId=key, GrantId=made["GrantId"])


async def test_a_deny_wins_over_a_grant(house: Harness) -> None:
    bob = await user(house, "bob", {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"})
    key = await new_key(house)
    await call(house, "CreateGrant", KeyId=key, GranteePrincipal=BOB, Operations=["Decrypt"])
    blob = (await call(house, "Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    await expect_denial(house, bob, "Decrypt", CiphertextBlob=blob)


async def test_another_account_needs_both_sides(house: Harness) -> None:
    key = await new_key(house)
    arn = SCOPE.arn("kms", f"key/{key}")
    stranger = Principal("111111111111", "arn:aws:iam::111111111111:root", "root", "111111111111")
    place = Scope("111111111111", "us-east-1")
    await expect_denial(house, stranger, "Encrypt", KeyId=arn, Plaintext=b"x", place=place)
    lets_in = {"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "kms:*", "Resource": "*"}
    await call(house, "PutKeyPolicy", KeyId=key, Policy=document(ADMIN, lets_in))
    sealed = await call(house, "Encrypt", caller=stranger, place=place, KeyId=arn, Plaintext=b"x")
    opened = await call(house, "Decrypt", caller=stranger, place=place, CiphertextBlob=sealed["CiphertextBlob"])
    assert opened["Plaintext"] == b"x"


async def test_the_port_makes_keys_of_services_and_sees_a_disabled_key_at_once(house: Harness) -> None:
    keys, context = house.ports.keys, {"aws:s3:arn": "arn:aws:s3:::b/k"}
    bob = await user(house, "bob")
    made = keys.generate_data_key(bob, SCOPE, "alias/aws/s3", context=context, via="s3")
    assert len(made.plaintext) == 32
    assert made.key_arn == keys.key_arn(bob, SCOPE, "alias/aws/s3")
    assert keys.decrypt(bob, SCOPE, made.ciphertext, context=context, via="s3") == made.plaintext
    with pytest.raises(AwsError, match="AccessDenied"):
        keys.decrypt(bob, SCOPE, made.ciphertext, context=context, via="sqs")
    service = Principal("000000000000", "sns.amazonaws.com", "service", "sns.amazonaws.com")
    with pytest.raises(AwsError, match="AccessDenied"):
        keys.generate_data_key(service, SCOPE, "alias/aws/s3", context=context, via="s3")
    await expect_denial(house, ROOT, "ScheduleKeyDeletion", KeyId=made.key_arn)
    assert (await call(house, "DescribeKey", KeyId="alias/aws/s3"))["KeyMetadata"]["KeyManager"] == "AWS"

    own = await new_key(house)
    sealed = keys.generate_data_key(ROOT, SCOPE, own, context=context, via="s3")
    await call(house, "DisableKey", KeyId=own)
    with pytest.raises(AwsError, match="DisabledException"):
        keys.decrypt(ROOT, SCOPE, sealed.ciphertext, context=context, via="s3")
    with pytest.raises(AwsError, match="NotFoundException"):
        keys.key_arn(ROOT, SCOPE, "alias/none")
