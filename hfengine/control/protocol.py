"""What goes over the control socket: one JSON line asks, one answers (docs/operating.md)."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from hfengine.errors import ExitCode, HfengineError

COMMANDS: Final = ("status", "positions", "orders", "halt", "resume", "flatten", "stop")
ARGUMENT_MAX: Final = 400
"""Characters of a reason or of the name of a source."""


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """One command, and the reason or source that goes with it."""

    command: str
    argument: str = ""


class Answer(Struct, frozen=True, omit_defaults=True):
    """What a command gave, or why it was not done and the exit code that says so."""

    ok: bool
    body: dict[str, Any] = {}
    error: str = ""
    exit_code: int = 0


class CommandRefused(HfengineError):
    """A command the engine did not carry out: one sentence, and the exit code of its caller."""

    def __init__(self, sentence: str, exit_code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def read_request(line: bytes) -> Request:
    """Return what a line asks; raises CommandRefused for one that asks nothing known."""
    try:
        request = msgspec.json.decode(line, type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        sentence = f'not a request: {error}; send {{"command": "status"}} and a line feed'
        raise CommandRefused(sentence) from None
    if request.command not in COMMANDS:
        known = ", ".join(COMMANDS)
        shown = request.command[:40]
        raise CommandRefused(f"no command {shown!r}: there are {known}")
    if len(request.argument) > ARGUMENT_MAX or not request.argument.isprintable():
        sentence = f"the argument of {request.command} must be at most {ARGUMENT_MAX} printable"
        raise CommandRefused(f"{sentence} characters")
    return request


def line_of(message: Request | Answer) -> bytes:
    """Return a request or an answer as its line; money is an exact decimal text."""
    return msgspec.json.encode(message) + b"\n"


def read_answer(line: bytes) -> Answer:
    """Return what a line answers; raises msgspec.DecodeError for one that is no answer."""
    return msgspec.json.decode(line, type=Answer)
