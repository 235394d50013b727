# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Sides of a public book as lists of levels: what leads from one to the next."""


def changes(list old not None, list new not None, int side):
    """Return the levels that lead from one side to another. See the stub."""
    cdef Py_ssize_t at_old = 0, at_new = 0
    cdef Py_ssize_t old_count = len(old), new_count = len(new)
    cdef long long old_ticks, new_ticks
    cdef tuple before, after
    cdef list found = []
    while at_old < old_count and at_new < new_count:
        before, after = old[at_old], new[at_new]
        if before is after:
            at_old += 1
            at_new += 1
            continue
        old_ticks, new_ticks = before[0], after[0]
        if old_ticks == new_ticks:
            if before[1] != after[1]:
                found.append(after)
            at_old += 1
            at_new += 1
        elif (old_ticks > new_ticks) == (side > 0):
            found.append((before[0], 0))
            at_old += 1
        else:
            found.append(after)
            at_new += 1
    while at_old < old_count:
        before = old[at_old]
        found.append((before[0], 0))
        at_old += 1
    while at_new < new_count:
        found.append(new[at_new])
        at_new += 1
    return found
