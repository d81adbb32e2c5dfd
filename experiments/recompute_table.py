#!/usr/bin/env python3
"""Computes the table of `pig experiment table2`, `pig experiment low-data` or `pig crossval` again from its cases.csv.

    python3 experiments/recompute_table.py OUT/cases.csv [OUT/table.md]

Needs only Python's standard library. Dice, IoU, precision and recall are means over the cases of a fold (without empty cells,
which mean that both masks are empty), then mean and standard deviation over folds. Only folds count in which a training set has
all seeds that occur in the file. The difference is the mean over cases (each averaged over seeds) that real pairs alone and the
training set both have; its 95 % interval comes from 2000 draws of whole patients, with other random numbers than pig's.
If the table is given, every mean and standard deviation is searched for in it; the exit code is 1 if one is missing.
"""

import csv
import random
import statistics
import sys

MEASURES = ("dice", "iou", "precision", "recall")


def read(path):
    """Rows by share of the patients (only low-data has shares) and training set, in the order of the file."""
    arms = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            arms.setdefault((row.get("share", ""), row["arm"]), []).append(row)
    return arms


def whole_folds(arms):
    """The arms without folds in which a seed is missing; the table leaves them out, too."""
    seeds = {row["seed"] for rows in arms.values() for row in rows}
    whole = {}
    for arm, rows in arms.items():
        done = {}
        for row in rows:
            done.setdefault(row["fold"], set()).add(row["seed"])
        whole[arm] = [row for row in rows if done[row["fold"]] == seeds]
    return whole


def over_folds(rows, measure):
    folds = {}
    for row in rows:
        if row[measure]:
            folds.setdefault(row["fold"], []).append(float(row[measure]))
    means = [statistics.fmean(values) for values in folds.values()]
    if not means:
        return "-"
    text = f"{100 * statistics.fmean(means):.2f}"
    return text if len(means) == 1 else f"{text} ± {100 * statistics.stdev(means):.2f}"


def case_means(rows):
    cases = {}
    for row in rows:
        if row["dice"]:
            cases.setdefault((row["group"], row["id"]), []).append(float(row["dice"]))
    return {case: statistics.fmean(values) for case, values in cases.items()}


def difference(rows, real):
    ours, theirs = case_means(rows), case_means(real)
    patients = {}
    for case in ours.keys() & theirs.keys():
        patients.setdefault(case[0], []).append(ours[case] - theirs[case])
    if len(patients) < 2:
        return "", ""
    mean = statistics.fmean(value for values in patients.values() for value in values)
    drawing, groups = random.Random(0), [patients[name] for name in sorted(patients)]
    draws = []
    for _ in range(2000):
        drawn = [value for _ in groups for value in drawing.choice(groups)]
        draws.append(statistics.fmean(drawn))
    draws.sort()
    return f"{100 * mean:+.2f}", f"[{100 * draws[50]:+.2f}, {100 * draws[1949]:+.2f}]"


def main(arguments):
    if not 1 <= len(arguments) <= 2:
        sys.exit(__doc__)
    arms = whole_folds(read(arguments[0]))
    table = open(arguments[1], encoding="utf-8").read() if len(arguments) == 2 else None
    missing = []
    print("| patients | training set | Dice % | IoU % | precision % | recall % | Dice - real | interval |")
    print("|---|---|---|---|---|---|---|---|")
    for (share, arm), rows in arms.items():
        cells = [over_folds(rows, measure) for measure in MEASURES]
        points, interval = ("", "") if arm == "real" else difference(rows, arms.get((share, "real"), []))
        print(f"| {share} | {arm} | {' | '.join(cells)} | {points} | {interval} |")
        if table is None:
            continue
        lines = [line for line in table.splitlines() if f"| {arm} |" in line]
        if share:
            lines = [line for line in lines if line.startswith(f"| {100 * float(share):.0f} |")]
        shown = cells[:2] if share else cells
        wanted = [f"| {cell} |" for cell in shown] + ([f"| {points} ["] if points else [])
        missing += [f"{share} {arm}: {cell}" for cell in wanted if not any(cell in line for line in lines)]
    if table is not None:
        print("\n".join(["", "not in the table:"] + missing) if missing else "\nequal to the table")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
