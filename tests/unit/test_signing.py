"""What a signer refuses and keeps to itself."""

import copy
import pickle
from pathlib import Path

import pytest

from hfengine.kernels.signing import HmacSha256
from tests.reference.signing import sign_hex

SECRET = b"correct horse battery staple"


def test_an_empty_secret_is_refused():
    with pytest.raises(ValueError, match="the secret is empty"):
        HmacSha256(b"")


@pytest.mark.parametrize("secret", ["text", None, bytearray(b"secret")])
def test_only_bytes_are_a_secret(secret):
    with pytest.raises(TypeError):
        HmacSha256(secret)


@pytest.mark.parametrize("message", ["text", None])
def test_only_bytes_are_signed(message):
    with pytest.raises(TypeError):
        HmacSha256(SECRET).sign_hex(message)


def test_the_secret_is_not_shown():
    signer = HmacSha256(SECRET)
    assert repr(signer) == str(signer) == "<HmacSha256>"
    assert not any(isinstance(getattr(signer, name), bytes) for name in dir(signer))


@pytest.mark.parametrize("way_out", [pickle.dumps, copy.copy, copy.deepcopy])
def test_the_key_does_not_leave_by_copying(way_out):
    with pytest.raises(TypeError, match="signing key"):
        way_out(HmacSha256(SECRET))


def test_the_portable_way_is_used_when_asked_for():
    assert not HmacSha256(SECRET, portable=True).native


def test_the_processors_own_instructions_are_used_where_there_are_any():
    described = Path("/proc/cpuinfo")
    if not described.exists():
        pytest.skip("this system does not describe its processor in /proc/cpuinfo")
    assert HmacSha256(SECRET).native == (" sha_ni " in described.read_text().replace("\n", " "))


def test_a_signer_can_be_prepared_again():
    signer = HmacSha256(SECRET)
    signer.__init__(b"another", portable=True)
    assert signer.sign_hex(b"message") == sign_hex(b"another", b"message")
