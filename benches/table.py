"""From measurements to one table: what was asked for, what was measured, whether it holds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, median
from typing import Any


@dataclass(frozen=True)
class Wanted:
    """One line of the table.

    `limit` is a ratio at least reached, or with no rival, nanoseconds not exceeded; None where nothing was asked.
    """

    row: str
    rival: str | None
    limit: float | None


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
    Wanted("the closing second, slowest tick", None, None),
)
MEMORY_LIMIT_MB = 600
RIVAL_NAMES = {
    "vendor": "vendor's parser",
    "numpy": "best numpy",
    "vendor and plain builder": "vendor's + plain builder",
}

Figures = dict[str, dict[str, dict[str, float]]]


def figures_of(report: dict[str, Any]) -> Figures:
    """Row -> contender -> nanoseconds a packet, best and median, from pytest-benchmark's JSON.

    The machine's other work only ever adds time, so the best is the work itself, for every contender alike. Where the
    rounds of a turn are the same work, it is the best round of all turns. Where they follow a stream, round 7 of one
    turn is the same work as round 7 of the next: the best of each round over the turns, then their mean or maximum.
    The median is that of the turns, noise included.
    """
    turns: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in report["benchmarks"]:
        info = entry["extra_info"]
        turns.setdefault((info["row"], info["contender"]), []).append(entry)
    figures: Figures = {}
    for (row, contender), entries in turns.items():
        scale = [1e9 / entry["extra_info"]["packets"] for entry in entries]
        statistic = entries[0]["extra_info"]["statistic"]
        if statistic == "median":
            best = min(entry["stats"]["min"] * factor for entry, factor in zip(entries, scale, strict=True))
        else:
            rounds = [min(same) for same in zip(*(entry["stats"]["data"] for entry in entries), strict=True)]
            best = (max(rounds) if statistic == "max" else fmean(rounds)) * scale[0]
        middle = median(entry["stats"][statistic] * factor for entry, factor in zip(entries, scale, strict=True))
        figures.setdefault(row, {})[contender] = {"best": best, "median": middle, "turns": len(entries)}
    return figures


def rival_of(contenders: dict[str, dict[str, float]], rival: str) -> tuple[str, dict[str, float]]:
    """The rival's own name and its figures; of the numpy variants the fastest one stands."""
    if rival != "numpy":
        return rival, contenders[rival]
    name = min((name for name in contenders if name.startswith("numpy")), key=lambda name: contenders[name]["best"])
    return name, contenders[name]


def lines_of(figures: Figures) -> list[dict[str, Any]]:
    """One line for each wanted row that was measured."""
    lines: list[dict[str, Any]] = []
    for wanted in WANTED:
        contenders = figures.get(wanted.row, {})
        if "tickloom" not in contenders:
            continue
        own = contenders["tickloom"]
        line: dict[str, Any] = {"row": wanted.row, "ns": own["best"], "median_ns": own["median"], "limit": wanted.limit}
        if wanted.rival is None:
            line["holds"] = wanted.limit is None or own["best"] <= wanted.limit
        else:
            name, rival = rival_of(contenders, wanted.rival)
            ratio = rival["best"] / own["best"]
            line |= {"rival": wanted.rival, "rival_is": name, "rival_ns": rival["best"], "ratio": ratio}
            line |= {"rival_median_ns": rival["median"], "ratio_of_medians": rival["median"] / own["median"]}
            line["holds"] = wanted.limit is None or ratio >= wanted.limit
        lines.append(line)
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
        number(line["median_ns"]),
        rival,
        number(line["rival_ns"]) if rival else "",
        f"{number(line['ratio'])}x" if rival else "",
        asked,
        "" if not asked else "yes" if line["holds"] else "NO",
    ]


HEAD = ["184-byte packets", "ns, best", "median", "against", "its best", "ratio", "asked", "holds"]


def memory_cells(results: dict[str, Any]) -> list[list[str]]:
    memory = results.get("memory")
    if memory is None:
        return []
    megabytes = (memory["after"] - memory["before"]) / 1e6
    holds = "yes" if megabytes <= MEMORY_LIMIT_MB else "NO"
    return [
        ["memory after a full day, 9,000 x 7", f"{megabytes:,.0f} MB", "", "", "", "", f"≤ {MEMORY_LIMIT_MB} MB", holds]
    ]


def rust_cells(results: dict[str, Any]) -> list[list[str]]:
    return [[f"rust: {name}", "", number(value), "", "", "", "", ""] for name, value in results.get("rust", {}).items()]


def markdown(results: dict[str, Any]) -> str:
    """The table as docs/performance.md shows it."""
    rows = [cells(line) for line in results["lines"]] + memory_cells(results) + rust_cells(results)
    return laid_out(HEAD, rows, right={1, 2, 4, 5, 6})


def laid_out(head: list[str], rows: list[list[str]], right: set[int]) -> str:
    """A table with its columns aligned, those of `right` to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def shown(row: list[str]) -> str:
        padded = (
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + (":" if i in right else "-") for i, w in enumerate(widths)) + "|"
    return "\n".join([shown(head), rule, *map(shown, rows)])


def provenance(results: dict[str, Any]) -> str:
    """Machine, date and command, in one sentence each."""
    machine = results["machine"]
    return (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}, "
        f"load {machine['load']:.1f} at the start. "
        f"Interpreter: {machine['python']} ({machine['interpreter']}). "
        f"Date: {results['date']}. Command: `{results['command']}`."
    )


def page(results: dict[str, Any]) -> str:
    """What stands between the marks of docs/performance.md."""
    return f"\n{provenance(results)}\n\n{markdown(results)}\n\n"


LIVE_HEAD = [
    "end to end, full packets, 7 intervals",
    "ours",
    "vendor's + plain builder",
    "unit",
    "ratio",
    "asked",
    "holds",
]


def live_cells(line: dict[str, Any]) -> list[str]:
    """One line of `benches.live`: the ratio says how many times better ours is."""
    holds = "yes" if line["ratio"] >= line["asked"] else "NO"
    figures = [number(line["ours"]), number(line["vendor"]), line["unit"], f"{number(line['ratio'])}x"]
    return [line["row"], *figures, f"≥ {line['asked']:g}x", holds]


def live_page(results: dict[str, Any]) -> str:
    """What stands between the marks of the end-to-end table in docs/performance.md."""
    rows = [live_cells(line) for line in results["lines"]]
    return f"\n{provenance(results)}\n\n{laid_out(LIVE_HEAD, rows, right={1, 2, 4, 5})}\n\n"


FRONT = (
    ("parse a frame of 50 to a numpy array", "parse, 50 a frame", "vendor"),
    ("the same, against the best numpy decode of all fields", "parse, 50 a frame", "numpy"),
    ("parse a frame of 50 to the vendor's own dicts", "to_dicts, 50 a frame", "vendor"),
    ("9,000 instruments, seven intervals: bytes to bars", "apply, 9,000 instruments", "vendor and plain builder"),
    ("read a column of 500 bars", "a column of 500 bars", None),
)


def front(results: dict[str, Any]) -> str:
    """What stands between the marks of README.md: the head of the table, in words."""
    lines = {(line["row"], line.get("rival")): line for line in results["lines"]}
    shown = []
    for claim, row, rival in FRONT:
        line = lines[row, rival]
        figure = f"{number(line['ns'])} ns" if rival is None else f"{number(line['ns'])} ns a packet"
        if rival is not None:
            figure += f", {number(line['ratio'])}x {RIVAL_NAMES[rival]}"
        shown.append(f"| {claim} | {figure} | `make bench` |\n")
    return "".join(shown)
