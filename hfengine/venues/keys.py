"""An account's API key, held so that it cannot be printed by accident."""

from msgspec import Struct


class ApiKeys(Struct, frozen=True, kw_only=True):
    """One account's credentials; `passphrase` only where the exchange has one."""

    key: str
    secret: str
    passphrase: str = ""

    def __repr__(self) -> str:
        return "<ApiKeys>"

    __str__ = __repr__

    def hide_in(self, text: str) -> str:
        """Return `text` without any of the credentials in it."""
        for word in (self.secret, self.passphrase, self.key):
            if word:
                text = text.replace(word, "***")
        return text
