"""Where the `hfengine` command begins: catches what comes before the imports are done."""

import sys
from typing import Final

INTERRUPTED: Final = 130


def main() -> None:
    """Import and run the command line; an interrupt meanwhile ends quietly with 130."""
    try:
        from hfengine.cli.main import main as run  # noqa: PLC0415 - its imports take a while

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
