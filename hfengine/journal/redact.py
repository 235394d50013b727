"""Keep secrets out of the journal: by the name of a field or key, and by registered value."""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct, inspect

REDACTED: Final = "[redacted]"
SECRET_CHARACTERS_MIN: Final = 6
"""A shorter string would also be found where it is no secret."""

_NAMES: Final = re.compile(
    r"apikey|secret|passphrase|password|passwd|privatekey|signature|accesskey|listenkey"
    r"|credential|authorization|cookie|mnemonic|(token|bapisign|accesssign)$"
)
_NOT_LETTERS: Final = re.compile(r"[^a-z0-9]")

_NONE: Final[tuple[str, ...]] = ()
_UNSEEN: Final = ("",)
SCALARS: Final = frozenset({type(None), bool, int, float, str, Decimal})

_secrets: list[bytes] = []


def is_secret_name(name: str) -> bool:
    """Return whether a field or key of this name holds a secret; case and separators apart."""
    return _NAMES.search(_NOT_LETTERS.sub("", name.lower())) is not None


def register(secret: str) -> None:
    """Make a secret value, also as URL-quoted, unencodable from now on, wherever it stands.

    Raise ValueError for one shorter than 6 characters.
    """
    if len(secret) < SECRET_CHARACTERS_MIN:
        raise ValueError(
            f"a secret of {len(secret)} characters cannot be told from other text: register at"
            f" least {SECRET_CHARACTERS_MIN}"
        )
    for form in (secret.encode(), quote(secret, safe="").encode()):
        if form not in _secrets:
            _secrets.append(form)
    # The longest first, or one that holds another would be replaced only in part.
    _secrets.sort(key=len, reverse=True)


def secret_forms() -> list[bytes]:
    """Return the list that registered secrets are in, the same as long as the process lives."""
    return _secrets


def secrets() -> tuple[bytes, ...]:
    """Return every registered secret in each of its forms: to look whether one stands somewhere."""
    return tuple(_secrets)


def forget() -> None:
    """Drop every registered secret: a session's keys are gone, or a test ends."""
    _secrets.clear()


class RedactingEncoder:
    """Encode any Struct as MessagePack without its secrets; same message, same bytes.

    A class whose declared fields need no care is encoded directly; that is decided once for each.
    One whose only fields of free form hold such messages, or `SCALARS`, is encoded directly by the
    journal's framer (`Framer.add_plain`): the bytes are the same.
    """

    __slots__ = ("free", "pack")

    def __init__(self) -> None:
        self.pack: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
        self.free: dict[type, tuple[str, ...] | None] = {}
        """Class -> its fields to be looked at in each message, () none; None: the whole of it."""

    def encode(self, message: Struct) -> bytes:
        """Return the message as MessagePack with every secret replaced by "[redacted]"."""
        free = self.free.get(message.__class__, _UNSEEN)
        if free is _UNSEEN:
            free = self._free_of(message.__class__)
        payload = self.pack(message if free is _NONE else without_secret_names(message))
        if _secrets:
            for secret in _secrets:
                if secret in payload:
                    return self._scrubbed(payload)
        return payload

    def _free_of(self, cls: type[Struct]) -> tuple[str, ...] | None:
        try:
            return self.free[cls]
        except KeyError:
            free = self.free[cls] = free_fields(cls)
            return free

    def _scrubbed(self, payload: bytes) -> bytes:
        try:
            content = msgspec.msgpack.decode(payload)
            scrubbed = self.pack(_without_secret_values(content))
        except (msgspec.DecodeError, TypeError):
            content, scrubbed = None, payload
        if any(secret in scrubbed for secret in _secrets):
            # It stands across values, or inside an opaque one: give up everything but the type.
            kind = content.get("type") if isinstance(content, dict) else None
            scrubbed = self.pack({"type": kind, "payload": REDACTED})
            if any(secret in scrubbed for secret in _secrets):
                return self.pack(REDACTED)
        return scrubbed


def needs_care(cls: type[Struct]) -> bool:
    """Return whether a message of this class may hold a secret name, or a set, at any depth.

    Fields of free form (mappings with text keys, Any, foreign classes) may hold either. A set is
    put in order, because Python's order of one differs between processes.
    """
    try:
        return _needs_care(inspect.type_info(cls), set())
    except (TypeError, NameError, ValueError):
        return True


def free_fields(cls: type[Struct]) -> tuple[str, ...] | None:
    """Return the fields of free form that alone decide whether a message needs care.

    None where others need it too; none at all where nothing does.
    """
    try:
        declared = inspect.type_info(cls)
    except (TypeError, NameError, ValueError):
        return None
    if not needs_care(cls):
        return _NONE
    if not isinstance(declared, inspect.StructType):
        return None
    free = []
    for field in declared.fields:
        if isinstance(field.type, inspect.AnyType):
            free.append(field.name)
        elif _needs_care(field.type, {cls}):
            return None
        if is_secret_name(field.name) or is_secret_name(field.encode_name):
            return None
    return tuple(free) or None


def _needs_care(declared: inspect.Type, seen: set[type]) -> bool:
    match declared:
        case inspect.StructType() | inspect.DataclassType() | inspect.NamedTupleType():
            if declared.cls is Struct:
                return True
            if declared.cls in seen:
                return False
            seen.add(declared.cls)
            return any(
                is_secret_name(field.name)
                or is_secret_name(field.encode_name)
                or _needs_care(field.type, seen)
                for field in declared.fields
            )
        case inspect.DictType(key_type=inspect.IntType()):
            return _needs_care(declared.value_type, seen)
        case inspect.DictType() | inspect.TypedDictType() | inspect.AnyType():
            return True
        case inspect.CustomType() | inspect.SetType() | inspect.FrozenSetType():
            return True
        case inspect.UnionType():
            return any(_needs_care(one, seen) for one in declared.types)
        case inspect.TupleType():
            return any(_needs_care(one, seen) for one in declared.item_types)
        case inspect.CollectionType():
            return _needs_care(declared.item_type, seen)
        case _:
            return False


def without_secret_names(content: Any) -> Any:
    """Return content as mappings and lists, what stands under a secret name replaced.

    A set becomes a sorted list.
    """
    if isinstance(content, Struct):
        return _plain_struct(content)
    if isinstance(content, Mapping):
        return {
            key: REDACTED if is_secret_name(_text(key)) else without_secret_names(under)
            for key, under in content.items()
        }
    if isinstance(content, (list, tuple)):
        names = getattr(content, "_fields", None)
        if names is None:
            return [without_secret_names(one) for one in content]
        return [_replaced(name, one) for name, one in zip(names, content, strict=True)]
    if isinstance(content, (set, frozenset)):
        return sorted(map(without_secret_names, content), key=msgspec.msgpack.encode)
    if is_dataclass(content) and not isinstance(content, type):
        return {
            field.name: _replaced(field.name, getattr(content, field.name))
            for field in fields(content)
        }
    return content


def _plain_struct(message: Struct) -> Any:
    config = message.__struct_config__
    plain: dict[str, Any] = {} if config.tag_field is None else {config.tag_field: config.tag}
    for name, encoded in zip(
        message.__struct_fields__, message.__struct_encode_fields__, strict=True
    ):
        secret = is_secret_name(name) or is_secret_name(encoded)
        plain[encoded] = REDACTED if secret else without_secret_names(getattr(message, name))
    return list(plain.values()) if config.array_like else plain


def _replaced(name: str, under: Any) -> Any:
    return REDACTED if is_secret_name(name) else without_secret_names(under)


def _text(key: Any) -> str:
    if isinstance(key, bytes):
        return key.decode(errors="replace")
    return str(getattr(key, "value", key))


def _without_secret_values(content: Any) -> Any:
    if isinstance(content, str):
        return _replace(content.encode()).decode(errors="replace")
    if isinstance(content, bytes):
        return _replace(content)
    if isinstance(content, dict):
        return {
            _without_secret_values(key): _without_secret_values(under)
            for key, under in content.items()
        }
    if isinstance(content, (list, tuple)):
        return [_without_secret_values(one) for one in content]
    return content


def _replace(text: bytes) -> bytes:
    for secret in _secrets:
        text = text.replace(secret, REDACTED.encode())
    return text
