"""Standard input, output and error as a command finds them: a terminal, a file, or closed."""

import os
from typing import Final, TextIO

STANDARD_DESCRIPTORS: Final = (0, 1, 2)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person reads this stream; None is one that was closed before the start."""
    return stream is not None and stream.isatty()


def occupy_missing() -> None:
    """Open the null device for each closed standard descriptor.

    Else the next file or socket takes its number; uvloop ends the process when that is its own.
    """
    for descriptor in STANDARD_DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            # the lowest free number is the one just found missing
            os.open(os.devnull, os.O_RDWR)
