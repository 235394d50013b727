"""A whole profile under check: its settings, its venues' catalogues, where each value is from."""

from collections.abc import Mapping
from typing import Self

from msgspec import Struct

from hfengine.instruments import Catalogue, Instrument, load_catalogue
from hfengine.settings import Settings
from hfengine.symbols import plain_symbol


class Traded(Struct, frozen=True):
    """One symbol of a profile that a catalogue knows."""

    listed: str
    """As the profile lists it: SYMBOL or SYMBOL@venue."""
    instrument: Instrument


class Case(Struct, frozen=True):
    """What the checks of a profile look at."""

    settings: Settings
    catalogues: Mapping[str, Catalogue]
    """Venue -> its dated catalogue; a venue without one is not among them."""
    origins: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings, origins: Mapping[str, str]) -> Self:
        """Return the case of some settings, with the catalogues of their venues."""
        named = {name: settings.venue.catalogue_of(name) for name in settings.venue.names}
        catalogues = {
            name: load_catalogue(catalogue) for name, catalogue in named.items() if catalogue
        }
        return cls(settings, catalogues, origins)

    def at(self, key: str) -> str:
        """Name a key with its origin."""
        return f"{key} ({self.origins.get(key, 'default')})"

    def given(self, key: str) -> bool:
        """Tell whether somebody set a key, rather than leaving its default."""
        return self.origins.get(key, "default") != "default"

    def leverage_key(self, listed: str) -> str:
        """Return the key that decides a symbol's leverage."""
        overrides = self.settings.leverage.overrides
        for name in (listed, plain_symbol(listed)):
            if name in overrides:
                return f"leverage.overrides.{name}"
        return "leverage.wanted"

    def instrument(self, listed: str) -> Instrument | None:
        """Return a listed symbol's instrument; None when no catalogue has it."""
        catalogue = self.catalogues.get(self.settings.venue_of(listed))
        symbol = plain_symbol(listed)
        known = catalogue.instruments if catalogue else ()
        return next((one for one in known if one.symbol == symbol), None)

    def traded(self) -> list[Traded]:
        """Return the profile's symbols as far as the catalogues have them."""
        found = {listed: self.instrument(listed) for listed in self.settings.symbols}
        return [Traded(listed, one) for listed, one in found.items() if one is not None]

    def leverage_fits(self, traded: Traded) -> bool:
        """Tell whether the first tier, the most generous, allows the leverage wanted."""
        return self.settings.leverage.of(traded.listed) <= traded.instrument.max_leverage
