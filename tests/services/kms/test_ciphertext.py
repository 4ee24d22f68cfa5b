"""Ciphertexts by properties: what goes in comes out with its context, and only so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.kernel.ids import RandomIds
from lakebed.services.kms import ciphertext

CONTEXTS = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)
KEY, ID = b"k" * 32, "00000000-0000-4000-8000-000000000000"


@given(st.binary(max_size=64), CONTEXTS, CONTEXTS, st.integers(1, 1 << 31))
def test_opens_with_its_context_alone(
    plaintext: bytes, context: dict[str, str], other: dict[str, str], version: int
) -> None:
    sealed = ciphertext.parse(ciphertext.encrypt(KEY, ID, version, plaintext, context, RandomIds()))
    assert (sealed.key_id, sealed.version) == (ID, version)
    assert ciphertext.decrypt(KEY, sealed, context) == plaintext
    if other != context:
        with pytest.raises(ciphertext.BrokenError):
            ciphertext.decrypt(KEY, sealed, other)


@given(st.binary(max_size=80))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(ciphertext.BrokenError):
        ciphertext.decrypt(KEY, ciphertext.parse(noise), {})


@given(CONTEXTS, CONTEXTS)
def test_no_two_contexts_look_alike(one: dict[str, str], other: dict[str, str]) -> None:
    assert (ciphertext.canonical(one) == ciphertext.canonical(other)) == (one == other)
