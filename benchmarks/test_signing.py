"""One signature of an order's length, beside the standard library's and OpenSSL's prepared copy."""

import hmac

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC
from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.kernels.signing import HmacSha256

SECRET = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
ORDER = b"apiKey=" + b"k" * 64 + b"&newClientOrderId=hf-0123456789-000001e0" + b"&p=1" * 45
WANT = hmac.digest(SECRET, ORDER, "sha256").hex().encode()


def test_prepared(benchmark: BenchmarkFixture) -> None:
    assert benchmark(HmacSha256(SECRET).sign_hex, ORDER) == WANT


def test_prepared_portable(benchmark: BenchmarkFixture) -> None:
    assert benchmark(HmacSha256(SECRET, portable=True).sign_hex, ORDER) == WANT


def test_peer_hmac_digest(benchmark: BenchmarkFixture) -> None:
    assert benchmark(lambda: hmac.digest(SECRET, ORDER, "sha256").hex().encode()) == WANT


def test_peer_hmac_new(benchmark: BenchmarkFixture) -> None:
    assert benchmark(lambda: hmac.new(SECRET, ORDER, "sha256").hexdigest().encode()) == WANT


def test_peer_cryptography_prepared_copy(benchmark: BenchmarkFixture) -> None:
    prepared = HMAC(SECRET, hashes.SHA256())

    def sign() -> bytes:
        copy = prepared.copy()
        copy.update(ORDER)
        return copy.finalize().hex().encode()

    assert benchmark(sign) == WANT
