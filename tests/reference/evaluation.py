"""The evaluation's statistics in plain Python, from their definitions."""

from math import cos, pi, sqrt


def long_run_variance(series, cosines):
    count = len(series)
    total = 0.0
    for j in range(1, cosines + 1):
        part = sum(cos(pi * j * (t + 0.5) / count) * x for t, x in enumerate(series))
        total += 2.0 / count * part * part
    return total / cosines


def midrank(numbers):
    return [
        sum(other < one for other in numbers) + 0.5 * (sum(o == one for o in numbers) + 1)
        for one in numbers
    ]


def information_coefficient(forecasts, returns):
    def signed(numbers):
        ranks = midrank([abs(one) for one in numbers])
        return [(one > 0) * r - (one < 0) * r for one, r in zip(numbers, ranks, strict=True)]

    a, b = signed(forecasts), signed(returns)
    scale = sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / scale if scale else 0.0


def forward_return(path, at_ns, horizon_ns):
    """Return mid(last update <= t + h) / mid(last update <= t) of [(ns, mid)], None at the end."""
    if path[-1][0] < at_ns + horizon_ns:
        return None
    now = [mid for ns, mid in path if ns <= at_ns][-1]
    then = [mid for ns, mid in path if ns <= at_ns + horizon_ns][-1]
    return then / now


def holm(p, level):
    """Return which of several tests Holm's procedure rejects."""
    rejected = set()
    for rank, place in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[place] >= level / (len(p) - rank):
            break
        rejected.add(place)
    return rejected
