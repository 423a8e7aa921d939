"""`python -m tickloom` and the console script `tickloom`: the command line, if its extra is installed."""

from __future__ import annotations

import sys

from tickloom.cli import run
from tickloom.errors import MissingExtra


def main() -> None:
    """Run the command line. Without the extra `cli` it says what to install, and the exit code is 1."""
    try:
        run()
    except MissingExtra as error:
        sys.exit(f"tickloom: {error}")


if __name__ == "__main__":
    main()
