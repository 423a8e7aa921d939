"""What `import tickloom` costs beyond numpy: python -m benches.imports

Runs `python -X importtime -c "import tickloom"` in fresh interpreters and takes numpy's own time off. At most 60 ms are
asked for; the best of the runs counts, as other work on the machine only ever adds.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys

RUNS = 15
ASKED_MS = 60
LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|(\s+)(\S+)")


def imported() -> dict[str, int]:
    """Each module that one fresh `import tickloom` imports, with its cumulative microseconds."""
    command = [sys.executable, "-X", "importtime", "-c", "import tickloom"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return {match[4]: int(match[2]) for match in map(LINE.match, said.splitlines()) if match}


def main() -> None:
    runs = [imported() for _ in range(RUNS)]
    ours = sorted(name for name in runs[0] if name.partition(".")[0] == "tickloom")
    print("modules of the package:", ", ".join(ours))
    beyond = [(run["tickloom"] - run["numpy"]) / 1_000 for run in runs]
    numpy = [run["numpy"] / 1_000 for run in runs]
    print(
        f"beyond numpy: best {min(beyond):.1f} ms, median {statistics.median(beyond):.1f} ms, of {RUNS} runs; asked: "
        f"{ASKED_MS} ms; numpy itself: best {min(numpy):.1f} ms"
    )
    if min(beyond) > ASKED_MS:
        raise SystemExit("more than was asked for")


if __name__ == "__main__":
    main()
