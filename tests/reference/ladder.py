"""What leads from one side of a book to another, by dictionaries."""


def changes(
    old: list[tuple[int, int]], new: list[tuple[int, int]], side: int
) -> list[tuple[int, int]]:
    """Return changed and new levels and, with 0 steps, those that are gone, best first."""
    before, after = dict(old), dict(new)
    found = {ticks: steps for ticks, steps in after.items() if before.get(ticks) != steps}
    found |= {ticks: 0 for ticks in before if ticks not in after}
    return sorted(found.items(), reverse=side > 0)
