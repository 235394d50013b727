"""Errors and what they mean for the process: who is told, and with which exit code."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command; stable across versions."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_FLAT = 3
    HALTED = 4
    FEED = 5
    NOT_RUNNING = 6
    JOURNAL_TRUNCATED = 10
    JOURNAL_DAMAGED = 11
    JOURNAL_EDITED = 12
    JOURNAL_INCOMPLETE = 13


class HfengineError(Exception):
    """A failure with one sentence for the user: what is wrong, where, what to do."""

    exit_code: ExitCode = ExitCode.FAILURE


class ConfigError(HfengineError):
    """A profile that cannot be run. Carries every problem found, not just the first."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class FeedError(HfengineError):
    """Market data that cannot be read at all: no such file, not a recording."""

    exit_code = ExitCode.FEED


class VenueRejected(HfengineError):
    """The venue refused a request: it was certainly not done."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class VenueUnknown(HfengineError):
    """The answer was lost: the request may or may not have been done; query, never assume."""


class VenueUnavailable(HfengineError):
    """The venue cannot be reached; nothing was sent."""
