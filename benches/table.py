"""From measurements to one table: what was asked for, what was measured, whether it holds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Wanted:
    """One line of the table. `limit` is a ratio at least reached, or with no rival, nanoseconds not exceeded."""

    row: str
    rival: str | None
    limit: float


WANTED = (
    Wanted("parse, 1 a frame", "vendor", 100),
    Wanted("parse, 50 a frame", "vendor", 1_000),
    Wanted("parse, 200 a frame", "vendor", 1_000),
    Wanted("parse, 50 a frame", "numpy", 10),
    Wanted("to_dicts, 50 a frame", "vendor", 7),
    Wanted("to_dicts, 200 a frame", "vendor", 7),
    Wanted("apply, 9,000 instruments", None, 30),
    Wanted("apply, 9,000 instruments", "vendor and plain builder", 400),
    Wanted("apply, 3,000 instruments", "vendor and plain builder", 500),
    Wanted("apply, 1 a frame", None, 500),
    Wanted("a column of 10 bars", None, 200),
    Wanted("a column of 500 bars", None, 200),
    Wanted("the closing second, per tick", None, 400),
)
# Reported without a limit of its own.
ALSO = ("the closing second, slowest tick",)
MEMORY_LIMIT_MB = 600
RIVAL_NAMES = {"vendor": "vendor's parser", "numpy": "best numpy", "vendor and plain builder": "vendor's + plain builder"}

Turns = dict[str, dict[str, list[float]]]


def turns_of(report: dict[str, Any]) -> Turns:
    """Row -> contender -> nanoseconds a packet in each turn, from pytest-benchmark's JSON."""
    turns: Turns = {}
    for entry in report["benchmarks"]:
        info = entry["extra_info"]
        nanoseconds = entry["stats"][info["statistic"]] * 1e9 / info["packets"]
        turns.setdefault(info["row"], {}).setdefault(info["contender"], []).append(nanoseconds)
    return turns


def rival_turns(contenders: dict[str, list[float]], rival: str) -> tuple[str, list[float]]:
    """The rival's own name and its turns; of the numpy variants the fastest one stands."""
    if rival != "numpy":
        return rival, contenders[rival]
    best = min((name for name in contenders if name.startswith("numpy")), key=lambda name: median(contenders[name]))
    return best, contenders[best]


def lines_of(turns: Turns) -> list[dict[str, Any]]:
    """One line for each wanted row that was measured. A ratio is the median of the ratios within each turn."""
    lines: list[dict[str, Any]] = []
    for wanted in WANTED:
        contenders = turns.get(wanted.row)
        if contenders is None:
            continue
        own = contenders["tickloom"]
        line: dict[str, Any] = {"row": wanted.row, "ns": median(own), "best_ns": min(own), "limit": wanted.limit}
        if wanted.rival is None:
            line["holds"] = line["ns"] <= wanted.limit
        else:
            name, rival = rival_turns(contenders, wanted.rival)
            ratio = median(theirs / ours for theirs, ours in zip(rival, own, strict=True))
            line |= {"rival": wanted.rival, "rival_is": name, "rival_ns": median(rival), "ratio": ratio}
            line["holds"] = ratio >= wanted.limit
        lines.append(line)
    for row in ALSO:
        if row in turns:
            own = turns[row]["tickloom"]
            lines.append({"row": row, "ns": median(own), "best_ns": min(own), "limit": None, "holds": None})
    return lines


def number(value: float) -> str:
    """Three significant figures at most, thousands separated."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cells(line: dict[str, Any]) -> list[str]:
    rival = RIVAL_NAMES[line["rival"]] if "rival" in line else ""
    if line["limit"] is None:
        asked = ""
    elif rival:
        asked = f"≥ {number(line['limit'])}x"
    else:
        asked = f"≤ {number(line['limit'])} ns"
    return [
        line["row"],
        number(line["ns"]),
        rival,
        number(line["rival_ns"]) if rival else "",
        f"{number(line['ratio'])}x" if rival else "",
        asked,
        {True: "yes", False: "NO", None: ""}[line["holds"]],
    ]


HEAD = ["184-byte packets", "ns", "against", "its ns", "ratio", "asked", "holds"]


def memory_cells(results: dict[str, Any]) -> list[list[str]]:
    memory = results.get("memory")
    if memory is None:
        return []
    megabytes = (memory["after"] - memory["before"]) / 1e6
    holds = "yes" if megabytes <= MEMORY_LIMIT_MB else "NO"
    return [["memory after a full day, 9,000 x 7", f"{megabytes:,.0f} MB", "", "", "", f"≤ {MEMORY_LIMIT_MB} MB", holds]]


def rust_cells(results: dict[str, Any]) -> list[list[str]]:
    return [[f"rust: {name}", number(value), "", "", "", "", ""] for name, value in results.get("rust", {}).items()]


def markdown(results: dict[str, Any]) -> str:
    """The table as docs/performance.md shows it."""
    rows = [cells(line) for line in results["lines"]] + memory_cells(results) + rust_cells(results)
    widths = [max(len(row[column]) for row in [HEAD, *rows]) for column in range(len(HEAD))]
    right = {1, 3, 4, 5}

    def shown(row: list[str]) -> str:
        padded = (cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + (":" if i in right else "-") for i, w in enumerate(widths)) + "|"
    return "\n".join([shown(HEAD), rule, *map(shown, rows)])


def provenance(results: dict[str, Any]) -> str:
    """Machine, date and command, in one sentence each."""
    machine = results["machine"]
    return (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}. "
        f"Interpreter: {machine['python']} ({machine['interpreter']}). "
        f"Date: {results['date']}. Command: `{results['command']}`."
    )
