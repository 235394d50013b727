"""The samples of a venue's protocol, and what of the local venue is compared with them."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from tests.protocol_samples import named, samples
from tests.shape import Explained, differences, extra_fields, fields, texts, unexplained

LATER = "a newer field than this sample: another sample has it"
NAMED = "newer than all samples: VENUES names it, and clients read it"


def inside(place: str, names: str, what: str = "extra") -> tuple[str, ...]:
    """Return the differences of several fields at one place."""
    return tuple(f"{place}.{name}: {what}" for name in names.split())


class SampleTable(Struct, frozen=True):
    """What is compared with what at one venue; samples by name or pattern."""

    venue: str
    cases: Mapping[str, tuple[str, ...]]
    """What the venue says, and the samples of it; empty where there is none."""
    explained: tuple[Explained, ...]
    not_served: Mapping[str, tuple[str, ...]]
    """Samples of what the venue does not say, by reason."""
    words: Mapping[str, str]
    """Fields with a fixed choice of words, and the documented words that no sample shows."""

    def pairs(self) -> list[tuple[str, str]]:
        """Return (what is said, sample) of every comparison."""
        return [
            (said, name)
            for said, patterns in self.cases.items()
            for name in named(self.venue, patterns)
        ]

    def compared(self) -> set[str]:
        """Return the samples that are compared with anything."""
        return {name for _, name in self.pairs()}

    def faults(self, name: str, ours: Any) -> tuple[set[str], set[str]]:
        """Return what differs without a reason, and what has one but does not differ."""
        found = differences(samples(self.venue)[name], ours)
        return unexplained(name, found, self.explained)

    def without_counterpart(self) -> set[str]:
        """Return the samples that are neither compared nor excused.

        An excuse of nothing, and an explained difference of a sample that is not compared, are
        errors of the table: AssertionError.
        """
        left = samples(self.venue).keys() - self.compared()
        for patterns in self.not_served.values():
            for pattern in patterns:
                found = set(named(self.venue, [pattern])) & left
                assert found, f"{pattern}: nothing is left of it"
                left -= found
        assert {name for row in self.explained for name in row.samples} <= self.compared()
        return left

    def wrongly_explained(self) -> list[Explained]:
        """Return the rows whose fields are said to be in other samples (or in none) and are not."""
        wrong = []
        for row in self.explained:
            others = self.compared() - set(row.samples)
            known = set().union(*(fields(samples(self.venue)[name]) for name in others))
            extra = extra_fields(row)
            if (row.reason == LATER and not extra <= known) or (
                row.reason == NAMED and extra & known
            ):
                wrong.append(row)
        return wrong

    def unknown_words(self, said: Iterable[Any]) -> set[tuple[str, str]]:
        """Return (field, word) that neither a sample nor the table has."""
        known = texts(list(samples(self.venue).values()), self.words)
        documented = {
            (name, word) for name, words in self.words.items() for word in ["", *words.split()]
        }
        return texts(list(said), self.words) - known - documented
