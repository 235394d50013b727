"""The prepared HMAC against the standard library's, with and without SHA instructions."""

from hypothesis import example, given
from hypothesis import strategies as st

from hfengine.kernels.signing import HmacSha256
from tests.reference.signing import sign_hex

lengths = st.integers(0, 300) | st.sampled_from([55, 56, 63, 64, 65, 119, 120, 127, 128, 4096])


@given(st.binary(min_size=1, max_size=200), lengths, st.integers(0, 255), st.booleans())
@example(b"k" * 64, 55, 7, False)
@example(b"k" * 65, 56, 7, False)
@example(b"k" * 64, 56, 7, True)
def test_equals_the_standard_library(secret: bytes, size: int, fill: int, portable: bool) -> None:
    message = bytes((fill + index * 7) & 0xFF for index in range(size))
    signer = HmacSha256(secret, portable=portable)
    assert signer.sign_hex(message) == sign_hex(secret, message)


@given(st.lists(st.binary(max_size=150), min_size=2, max_size=6))
def test_one_signature_leaves_nothing_for_the_next(messages: list[bytes]) -> None:
    signer = HmacSha256(b"secret")
    assert [signer.sign_hex(m) for m in messages] == [sign_hex(b"secret", m) for m in messages]
