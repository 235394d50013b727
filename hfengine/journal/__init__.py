"""The session log: append, write, read, verify, redact."""

from hfengine.journal.log import Journal, JournalError, JournalLimits

__all__ = ["Journal", "JournalError", "JournalLimits"]
