"""The long comparison with the vendor's parser: `python tests/differential/million.py [COUNT] [SEED]`.

Compares COUNT random packets (1,000,000 if not given) in each of three time zones.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ZONES = ("Asia/Kolkata", "UTC", "America/New_York")
REPOSITORY = Path(__file__).resolve().parents[2]


def run(zone: str, count: int, seed: int) -> subprocess.CompletedProcess[str]:
    """One zone in a process of its own, because a process reads TZ once."""
    command = [sys.executable, "-m", "tests.differential.packets", str(count), str(seed)]
    environment = os.environ | {"TZ": zone}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def main() -> int:
    arguments = [int(argument) for argument in sys.argv[1:]]
    count, seed = (*arguments, *(1_000_000, 1)[len(arguments) :])
    failed = 0
    for zone in ZONES:
        done = run(zone, count, seed)
        sys.stdout.write(done.stdout or done.stderr)
        sys.stdout.flush()
        failed |= done.returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
