#!/usr/bin/env python3
"""Draws the differences in Dice of the tables in results/ with their intervals: docs/do-pairs-help.svg.

    python3 experiments/forest.py                  # writes the figure
    python3 experiments/forest.py --check          # fails if the figure is not that of the tables

Needs only Python's standard library. Each row is a training set of real and generated pairs (or pseudo-masks) against the real pairs alone.
"""

import argparse
import csv
import html
import math
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
RESULTS, FIGURE = HERE.parent / "results", HERE.parent / "docs" / "do-pairs-help.svg"

DIFFERENCE = re.compile(r"([+-][\d.]+) \[([+-][\d.]+), ([+-][\d.]+)\]")
# What stands in the tables, and what a reader is told.
NAMES = {"pig": "pig", "pig-curated": "pig, the better half", "self-training": "self-training without a generator"}

LEFT, WIDTH, ROW, TOP = 300, 760, 22, 34
# The axis reaches at least so far to both sides, and has a line every four points.
LEAST_REACH, TICK = 12, 4


def tables(path):
    """The tables of a Markdown file as lists of rows by column."""
    found, head = [], None
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            head = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if head is None:
            head = cells
            found.append([])
        elif not set(line) <= set("|-: "):
            found[-1].append(dict(zip(head, cells)))
    return found


def numbers(cell):
    match = DIFFERENCE.search(cell)
    return tuple(float(value) for value in match.groups()) if match else None


def method(training_set):
    """The words for a training set such as pig-add-0.29."""
    return training_set.rsplit("-add-", 1)[0]


def groups():
    """Heading and rows (label, difference) of every experiment with real pairs."""
    found = []
    rows = tables(RESULTS / "lgg-small" / "table.md")[0]
    added = [row for row in rows if "-add-" in row["training set"]]
    own = [(f"{method(row['training set'])}, {row['generated pairs']} pairs", numbers(row["Dice - real, % points"])) for row in added]
    found.append(("Brain MRI at 64 x 64, 58 training patients, one fold (exploratory)", own))
    for row in tables(RESULTS / "lgg-small-low-data" / "table.md")[0]:
        if "-add-" in row["training set"]:
            heading = f"The same, {float(row['training patients']):.0f} training patients"
            label = f"{method(row['training set'])}, {row['generated pairs']} pairs"
            found.append((heading, [(label, numbers(row["Dice - real, % points"]))]))
    kvasir = RESULTS / "kvasir-10"
    if (kvasir / "table.md").exists():
        with open(kvasir / "cases.csv", newline="", encoding="utf-8") as file:
            draws = len({row["draw"] for row in csv.DictReader(file)})
        rows = [row for table in tables(kvasir / "table.md") for row in table if "difference" in row]
        own = []
        for row in rows:
            first, second = row["difference"].rsplit(" - ", 1)
            if second == "real":
                own.append((NAMES[first], numbers(row["points"])))
        found.append((f"Endoscopy at 128 x 128, 10 % of the labels, {draws} of 5 draws", own))
    return found


def drawn():
    """The figure as SVG."""
    everything = groups()
    furthest = max(abs(value) for _, own in everything for _, difference in own for value in difference)
    reach = max(LEAST_REACH, TICK * math.ceil(furthest / TICK))
    scale = (WIDTH - LEFT - 40) / (2 * reach)

    def x(points):
        return LEFT + 20 + (points + reach) * scale

    rows = sum(1 + len(own) for _, own in everything)
    height = TOP + rows * ROW + 46
    title = "Dice with generated pairs less Dice of real pairs alone, in points, with 95 % intervals"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13" role="img" aria-label="{title}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-weight="bold">{title}</text>',
    ]
    bottom = TOP + rows * ROW + 4
    for tick in range(-reach, reach + 1, TICK):
        colour = "#555555" if tick == 0 else "#dddddd"
        parts.append(f'<line x1="{x(tick):.1f}" y1="{TOP}" x2="{x(tick):.1f}" y2="{bottom}" stroke="{colour}"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{f"{tick:+d}" if tick else 0}</text>')
    parts.append(f'<text x="{x(0) - 8:.1f}" y="{bottom + 34}" text-anchor="end" fill="#555555">pairs are worse</text>')
    parts.append(f'<text x="{x(0) + 8:.1f}" y="{bottom + 34}" fill="#555555">pairs are better</text>')
    y = TOP
    for heading, own in everything:
        y += ROW
        parts.append(f'<text x="10" y="{y - 6}" font-weight="bold" fill="#333333">{html.escape(heading)}</text>')
        for label, (middle, low, high) in own:
            y += ROW
            parts.append(f'<text x="24" y="{y - 6}">{html.escape(label)}</text>')
            parts.append(f'<line x1="{x(low):.1f}" y1="{y - 10}" x2="{x(high):.1f}" y2="{y - 10}" stroke="#1f5f99" stroke-width="2"/>')
            parts.append(f'<circle cx="{x(middle):.1f}" cy="{y - 10}" r="4" fill="#1f5f99"/>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare the figure with the tables; write nothing")
    asked = parser.parse_args()
    text = drawn()
    if not asked.check:
        FIGURE.write_text(text, encoding="utf-8")
    elif not FIGURE.exists() or FIGURE.read_text(encoding="utf-8") != text:
        sys.exit(f"error: {FIGURE} is not the figure of the tables; run experiments/forest.py")


if __name__ == "__main__":
    main()
