"""How a command speaks to a running engine: one request, one answer, on a plain socket."""

import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from hfengine.clock import mono_ns
from hfengine.control.protocol import Request, line_of, read_answer
from hfengine.errors import ExitCode, HfengineError
from hfengine.limits import CONTROL_ANSWER_BYTES_MAX

ANSWER_MAX_S: Final = 10.0
"""How long a running engine may take to answer a question."""
PIECE: Final = 65_536
NS_PER_S: Final = 1e9


class EngineGone(HfengineError):
    """Nobody listens at the socket of an engine: it has ended, or died."""

    exit_code = ExitCode.NOT_RUNNING


class EngineSilent(HfengineError):
    """An engine that is there but does not answer."""


class EngineRefused(HfengineError):
    """An engine's own sentence why it did not do what was asked."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.exit_code = ExitCode(code) if code in set(ExitCode) else ExitCode.FAILURE


Waiting = Callable[[float], None]
"""Hears every second or so how many seconds an answer has been awaited."""


def ask(
    path: str,
    command: str,
    argument: str = "",
    *,
    answer_max_s: float | None = ANSWER_MAX_S,
    waiting: Waiting | None = None,
    every_s: float = 1.0,
) -> Mapping[str, Any]:
    """Return what the engine at a socket answers to one command.

    `answer_max_s` None waits for as long as the engine lives. Raises EngineGone, EngineSilent or
    EngineRefused.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_MAX_S if answer_max_s is None else answer_max_s)
        try:
            connection.connect(path)
            connection.sendall(line_of(Request(command, argument)))
        except (TimeoutError, BlockingIOError):
            # the second is a queue of connections that nobody takes
            raise _silent(path, connection.gettimeout() or 0.0) from None
        except OSError as error:
            sentence = f"no engine listens at {path or 'its socket'}: {error.strerror or error}"
            raise EngineGone(sentence) from None
        line = _line(connection, path, answer_max_s, waiting, every_s)
    try:
        answer = read_answer(line)
    except msgspec.DecodeError as error:
        sentence = f"what listens at {path} does not speak as an engine of this version: {error}"
        raise EngineSilent(sentence) from None
    if not answer.ok:
        raise EngineRefused(answer.error, answer.exit_code)
    return answer.body


def _line(
    connection: socket.socket,
    path: str,
    answer_max_s: float | None,
    waiting: Waiting | None,
    every_s: float,
) -> bytes:
    started_ns = mono_ns()
    connection.settimeout(every_s if answer_max_s is None else min(every_s, answer_max_s))
    said: list[bytes] = []
    size = 0
    while True:
        try:
            piece = connection.recv(PIECE)
        except TimeoutError:
            waited_s = (mono_ns() - started_ns) / NS_PER_S
            if answer_max_s is not None and waited_s >= answer_max_s:
                raise _silent(path, answer_max_s) from None
            if waiting is not None:
                waiting(waited_s)
            continue
        except OSError:
            piece = b""
        if not piece:
            sentence = f"the engine at {path} ended before it answered"
            raise EngineGone(sentence)
        said.append(piece)
        size += len(piece)
        if piece.endswith(b"\n"):
            return b"".join(said)
        if size > CONTROL_ANSWER_BYTES_MAX:
            msg = f"what listens at {path} answers without end: it is no engine of this version"
            raise EngineSilent(msg)


def _silent(path: str, seconds: float) -> EngineSilent:
    return EngineSilent(
        f"the engine at {path} is there but did not answer within {seconds:g} s: look at its "
        f"process; its stops stand at the exchange"
    )
