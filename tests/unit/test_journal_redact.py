"""Secrets stay out of the encoded bytes, and everything else stays in."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import Struct

from hfengine import messages
from hfengine.journal import redact
from hfengine.journal.redact import RedactingEncoder

SECRET = "s3cr3t/Value+42"


class Keys(Struct, frozen=True, tag=True):
    name: str
    api_key: str
    apiSecret: str = msgspec.field(name="hidden")


class Renamed(Struct, frozen=True, tag=True):
    key: str = msgspec.field(name="api_key")


class Nested(Struct, frozen=True, tag=True):
    at_ns: int
    accounts: tuple[Keys, ...]


class Free(Struct, frozen=True, tag=True):
    headers: dict[str, Any]
    anything: Any = None


class Watched(Struct, frozen=True, tag=True):
    symbols: frozenset[str]
    anything: Any = None


class Plain(Struct, frozen=True, tag=True):
    symbol: str
    payload: bytes = b""
    levels: tuple[tuple[int, float], ...] = ()
    by_number: dict[int, float] = {}


class Loop(Struct, tag=True):
    inner: "Loop | None" = None
    passphrase: str | None = None


class Positional(Struct, array_like=True, tag=True):
    symbol: str
    token: str


class Pair(NamedTuple):
    label: str
    password: str


@dataclasses.dataclass
class Login:
    user: str
    private_key: str


@pytest.fixture(autouse=True)
def no_secrets_left() -> Iterator[None]:
    yield
    redact.forget()


def decoded(message: Struct) -> Any:
    return msgspec.msgpack.decode(RedactingEncoder().encode(message))


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "apiKey",
        "X-MBX-APIKEY",
        "secret",
        "api_secret",
        "secretKey",
        "passphrase",
        "PASSWORD",
        "token",
        "access_token",
        "refreshToken",
        "signature",
        "private_key",
        "listenKey",
        "Authorization",
        "X-BAPI-SIGN",
    ],
)
def test_secret_names(name: str) -> None:
    assert redact.is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["symbol", "side", "sign", "tokens_left", "key", "design", "client_id", "at_ns", "monkey", ""],
)
def test_names_of_no_secret(name: str) -> None:
    assert not redact.is_secret_name(name)


def test_fields_are_replaced_by_name_also_where_renamed() -> None:
    assert decoded(Keys("main", SECRET, SECRET)) == {
        "type": "Keys",
        "name": "main",
        "api_key": "[redacted]",
        "hidden": "[redacted]",
    }


def test_a_field_only_renamed_to_a_secret_name_is_replaced() -> None:
    assert decoded(Renamed(SECRET)) == {"type": "Renamed", "api_key": "[redacted]"}


def test_nested_and_recursive_structs() -> None:
    message = Nested(7, (Keys("a", SECRET, SECRET), Keys("b", SECRET, SECRET)))
    assert [one["api_key"] for one in decoded(message)["accounts"]] == ["[redacted]"] * 2
    assert [one["name"] for one in decoded(message)["accounts"]] == ["a", "b"]
    assert decoded(Loop(Loop(None, SECRET)))["inner"]["passphrase"] == "[redacted]"


def test_keys_in_free_form_fields() -> None:
    message = Free(
        {"X-BAPI-API-KEY": SECRET, "Accept": "*/*", "deep": [{"token": SECRET}]},
        (Keys("a", SECRET, SECRET), Pair("label", SECRET), Login("user", SECRET)),
    )
    encoded = RedactingEncoder().encode(message)
    assert SECRET.encode() not in encoded
    content = msgspec.msgpack.decode(encoded)
    assert content["headers"]["Accept"] == "*/*"
    assert content["anything"][1:] == [
        ["label", "[redacted]"],
        {"user": "user", "private_key": "[redacted]"},
    ]


def test_array_like_structs_keep_their_places() -> None:
    assert decoded(Positional("BTCUSDT", SECRET)) == ["Positional", "BTCUSDT", "[redacted]"]


def test_messages_without_secrets_are_encoded_as_they_are() -> None:
    message = Plain("BTCUSDT", b"\x00\xff", ((1, 2.5),), {2: 1.5, 1: 0.5})
    assert not redact.needs_care(Plain)
    encoded = RedactingEncoder().encode(message)
    assert msgspec.msgpack.decode(encoded, type=Plain) == message


def test_the_whole_vocabulary_is_encoded_directly() -> None:
    classes = [
        one
        for one in vars(messages).values()
        if isinstance(one, type) and issubclass(one, messages.Message)
    ]
    assert len(classes) > 10
    assert [one.__name__ for one in classes if redact.needs_care(one)] == []


def test_sets_are_put_in_order() -> None:
    symbols = [f"COIN{i:02}USDT" for i in range(50)]
    assert decoded(Watched(frozenset(symbols), {3, 1, 2})) == {
        "type": "Watched",
        "symbols": sorted(symbols),
        "anything": [1, 2, 3],
    }


def test_mappings_keep_their_order_and_any_keys() -> None:
    content = decoded(Free({"b": 1, "a": 2}, {7: 1, b"bytes": 2}))
    assert list(content["headers"]) == ["b", "a"]
    assert content["anything"] == {7: 1, b"bytes": 2}


def test_registered_value_is_replaced_wherever_it_stands() -> None:
    redact.register(SECRET)
    message = Free(
        {f"url?{SECRET}": 1, "list": [f"x{SECRET}y", SECRET.encode()], "n": 5},
        Plain(SECRET, SECRET.encode()),
    )
    encoded = RedactingEncoder().encode(message)
    assert SECRET.encode() not in encoded
    content = msgspec.msgpack.decode(encoded)
    assert content["headers"]["list"] == ["x[redacted]y", b"[redacted]"]
    assert content["headers"]["url?[redacted]"] == 1
    assert content["headers"]["n"] == 5
    assert content["anything"]["symbol"] == "[redacted]"


def test_registered_value_is_found_url_quoted() -> None:
    redact.register(SECRET)
    assert decoded(Plain("q=s3cr3t%2FValue%2B42"))["symbol"] == "q=[redacted]"


def test_the_longer_of_two_secrets_goes_whole() -> None:
    redact.register("abcdef")
    redact.register("abcdefghij")
    assert decoded(Plain("<abcdefghij>"))["symbol"] == "<[redacted]>"


def test_a_value_across_fields_costs_the_payload_but_keeps_the_type() -> None:
    redact.register("abcdef")
    message = Free({}, list(b"__abcdef__"))
    assert decoded(message) == {"type": "Free", "payload": "[redacted]"}


def test_other_messages_are_untouched_by_a_registered_value() -> None:
    before = RedactingEncoder().encode(Plain("BTCUSDT"))
    redact.register(SECRET)
    assert RedactingEncoder().encode(Plain("BTCUSDT")) == before


@pytest.mark.parametrize("secret", ["", "abc", "12345"])
def test_too_short_a_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        redact.register(secret)
