#!/usr/bin/env python3
"""Computes the tables of `pig experiment table2`, `pig experiment low-data` or `pig crossval` again from their cases.csv.

    python3 experiments/recompute_table.py OUT/cases.csv [OUT/table.md]
    python3 experiments/recompute_table.py OUT/cases.csv --arms FIRST SECOND

Needs only Python's standard library, and shares nothing with pig but the definitions: the primary table has Dice on slices with a lesion
(mean within each patient and segmenter, over the segmenters of a generator, over generators, over patients), its difference to real pairs alone with interval, p and p by
Holm's method, the detectable difference, and the share of slices without a lesion in which something is found. The interval is a
bootstrap over patients and segmenters, or generators where a fold has several (from three folds on: over whole folds), whose draws come from SplitMix64, so it is the same as
pig's to the last printed digit. The second table has the measures as the paper prints them: means over the cases of a fold, without
empty cells, then mean and standard deviation over folds. Only folds count in which a training set has all seeds of the file.

If the table is given, every number is searched for in it; the exit code is 1 if one is missing. With --arms, two training sets are
compared with each other.
"""

import csv
import math
import re
import statistics
import sys

MEASURES = ("dice", "iou", "precision", "recall")
RESAMPLES, LEAST_FOLDS, POWER = 2000, 3, 0.8
WITH_REAL = re.compile(r"-(?:add|curated|pretrained)-[0-9.e+-]+$")


def read(path):
    """Rows by share of the patients (only low-data has shares) and training set, in the order of the file."""
    arms = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            row["found"] = row["dice"] != ""
            row["lesion"] = row["lesion"] == "true"
            arms.setdefault((row.get("share", ""), row["arm"]), []).append(row)
    return arms


def signed(value):
    """Two digits with a sign; what rounds to zero is positive."""
    text = f"{value:+.2f}"
    return "+0.00" if text == "-0.00" else text


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


def dice(row):
    return float(row["dice"] or 0) if row["lesion"] else None


def false_finding(row):
    return None if row["lesion"] else float(row["found"])


def runs_of(rows, outcome):
    """By fold: for each generator, for each of its segmenters, in the order of their seeds, the mean of each patient."""
    folds = {}
    for row in rows:
        value = outcome(row)
        if value is not None:
            generators = folds.setdefault(int(row["fold"]), {})
            # Real pairs have no generator, and without a seed of its own an arm has one.
            run = generators.setdefault(int(row.get("generator_seed") or 0), {}).setdefault(int(row["seed"]), {})
            run.setdefault(row["group"], []).append(value)
    mean = statistics.fmean
    return {
        fold: [
            [{patient: mean(values) for patient, values in runs[seed].items()} for seed in sorted(runs)]
            for _, runs in sorted(generators.items())
        ]
        for fold, generators in sorted(folds.items())
    }


def common(runs):
    """The patients of all runs, in the order of their names."""
    return sorted(set.intersection(*(set(run) for run in runs)))


def mean_run(runs):
    """The mean over runs of each patient whom all of them have."""
    return {patient: statistics.fmean(run[patient] for run in runs) for patient in common(runs)}


def patient_mean(folds):
    patients = {}
    for generators in folds.values():
        for runs in generators:
            own = {}
            for run in runs:
                for patient, value in run.items():
                    own.setdefault(patient, []).append(value)
            for patient, values in own.items():
                patients.setdefault(patient, []).append(statistics.fmean(values))
    return statistics.fmean(statistics.fmean(values) for values in patients.values()) if patients else None


# --- distributions -------------------------------------------------------------------------------------------------------------------


def incomplete_beta(x, a, b):
    if not 0.0 < x < 1.0:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - incomplete_beta(1.0 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    product = d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d, c = 1.0 / (1.0 + term * d), 1.0 + term / c
            product *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return front * product


def student_quantile(share, degrees):
    """The value that |t| exceeds with this probability."""

    def tails(t):
        return incomplete_beta(degrees / (degrees + t * t), 0.5 * degrees, 0.5)

    low, high = 0.0, 1.0
    while tails(high) > share:
        low, high = high, 2.0 * high
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if tails(middle) > share else (low, middle)
    return 0.5 * (low + high)


def normal_quantile(share):
    return -statistics.NormalDist().inv_cdf(0.5 * share)


def quantile(values, share):
    position = share * (len(values) - 1)
    below = int(position)
    above = min(below + 1, len(values) - 1)
    return values[below] + (position - below) * (values[above] - values[below])


def split_mix(seed=0):
    """SplitMix64 as a function that gives numbers below `count`."""
    state = seed

    def below(count):
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return ((z ^ (z >> 31)) * count) >> 64

    return below


# --- the difference of two arms ------------------------------------------------------------------------------------------------------


def spread(groups):
    """Variance of the means of trainings, what varies by training and patient together, and residuals, pooled over groups."""
    residuals, squares, rest, degrees, rest_degrees = [], 0.0, 0.0, 0, 0
    for runs in groups:
        if len(runs) < 2:
            continue
        means = mean_run(runs)
        patients = list(means)
        middle = statistics.fmean(means.values())
        for run in runs:
            own = statistics.fmean(run[patient] for patient in patients) - middle
            squares += own * own
            residuals.append(own * math.sqrt(len(runs) / (len(runs) - 1)))
            rest += sum((run[patient] - means[patient] - own) ** 2 for patient in patients)
        degrees += len(runs) - 1
        rest_degrees += (len(runs) - 1) * (len(patients) - 1)
    variance = squares / degrees if degrees else 0.0
    total = sum(residual**2 for residual in residuals)
    scale = math.sqrt(variance * len(residuals) / total) if total > 0 else 1.0
    residuals = [scale * residual for residual in residuals]
    return {
        "residuals": residuals, "variance": variance, "degrees": degrees,
        "rest": rest / rest_degrees if rest_degrees else 0.0, "rest_degrees": rest_degrees,
    }


def spreads(arms):
    """What segmenters vary by, and generators, in arms that vary alike; an arm is by fold, as of `runs_of`."""
    folds = [generators for arm in arms for generators in arm.values()]
    return [
        spread([runs for generators in folds for runs in generators]),
        spread([[mean_run(runs) for runs in generators] for generators in folds]),
    ]


class Contrast:
    """First minus second; `alike` are all arms that hold the real pairs and no wrong masks, whose trainings share one variance."""

    def __init__(self, first, second, alike):
        folds = [fold for fold in first if fold in second]
        tables = []
        for fold in folds:
            sides = [arm[fold] for arm in (first, second)]
            patients = common([run for side in sides for runs in side for run in runs])
            of_generators = [[mean_run(runs) for runs in side] for side in sides]
            means = [[statistics.fmean(run[patient] for run in side) for patient in patients] for side in of_generators]
            if patients:
                tables.append((sides, [ours - theirs for ours, theirs in zip(*means)]))
        differences = [value for _, values in tables for value in values]
        count = len(differences)
        self.patients, self.is_there = count, count >= 2
        if not self.is_there:
            return
        self.difference = statistics.fmean(differences)
        weights = [len(values) / count for _, values in tables]
        patients = runs = rest = 0.0
        estimated, levels = [], []
        if len(tables) >= LEAST_FOLDS:
            k = len(tables)
            residuals = [
                math.sqrt(k / (k - 1)) * k * weight * (statistics.fmean(values) - self.difference)
                for (_, values), weight in zip(tables, weights)
            ]
            runs = sum(residual**2 for residual in residuals) / k**2
            estimated.append((runs, k - 1))
            levels.append((residuals, k, 1.0))
        else:
            scale = math.sqrt(count / (count - 1))
            residuals = [scale * (value - self.difference) for value in differences]
            patients = sum(residual**2 for residual in residuals) / count**2
            estimated.append((patients, count - 1))
            levels.append((residuals, count, 1.0))
            shared = spreads(alike)
            own = [shared if any(arm is other for other in alike) else spreads([arm]) for arm in (first, second)]
            parts = {}
            for (sides, values), weight in zip(tables, weights):
                for which, side in enumerate(sides):
                    # Several generators contain what their segmenters vary by.
                    found, units = own[which][len(side) > 1], len(side) if len(side) > 1 else len(side[0])
                    if found["degrees"]:
                        part = parts.setdefault(id(found), [found, 0.0, 0.0])
                        part[1] += weight**2 * found["variance"] / units
                        part[2] += weight**2 * found["rest"] / (units * len(values))
                        levels.append((found["residuals"], units, (1 - 2 * which) * weight))
            for found, part, part_rest in parts.values():
                runs, rest = runs + part, rest + part_rest
                estimated.append((part, found["degrees"]))
                estimated.append((part_rest, found["rest_degrees"]))
        total = max(patients + runs - rest, patients, runs)
        squares = sum(part**2 / degrees for part, degrees in estimated if degrees)
        self.degrees = max(total**2 / squares, 1.0) if squares > 0 else max(count - 1.0, 1.0)
        self.error = math.sqrt(total)
        self.resample(levels, total)
        self.interval = self.at(0.05)
        quantiles = student_quantile(0.05, self.degrees) + student_quantile(2 * (1 - POWER), self.degrees)
        self.detectable = quantiles * self.error
        self.p, self.is_bound = self.p_value()

    def resample(self, levels, total):
        below = split_mix()
        sums = sum(
            factor**2 * statistics.fmean(residual**2 for residual in residuals) / count
            for residuals, count, factor in levels
        )
        scale = math.sqrt(total / sums) if sums > 0 else 0.0
        self.deviations = sorted(
            scale
            * sum(
                factor * sum(residuals[below(len(residuals))] for _ in range(count)) / count
                for residuals, count, factor in levels
            )
            for _ in range(RESAMPLES)
        )

    def at(self, share):
        stretch = student_quantile(share, self.degrees) / normal_quantile(share)
        low, high = (stretch * quantile(self.deviations, at) for at in (0.5 * share, 1 - 0.5 * share))
        return self.difference + min(low, 0.0), self.difference + max(high, 0.0)

    def p_value(self):
        def excludes(share):
            low, high = self.at(share)
            return low > 0 or high < 0

        low, high = 2 / RESAMPLES, 0.999
        if excludes(low):
            return low, True
        if not excludes(high):
            return 1.0, False
        for _ in range(40):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if excludes(middle) else (middle, high)
        return 0.5 * (low + high), False

    def points(self):
        if not self.is_there:
            return ""
        low, high = self.interval
        difference, low, high = (signed(100 * value) for value in (self.difference, low, high))
        return f"{difference} [{low}, {high}]"


def holm(values):
    adjusted, least = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=lambda place: values[place])):
        least = min(max(least, (len(values) - rank) * values[place]), 1.0)
        adjusted[place] = least
    return adjusted


def p_text(p, is_bound):
    return "< 0.0001" if p < 0.0001 else f"< {p:.4f}" if is_bound else f"{p:.4f}"


# --- the tables ----------------------------------------------------------------------------------------------------------------------


def has_real_pairs(arm):
    return arm == "real" or WITH_REAL.search(arm) is not None


def compared(arms, share, first, second, outcome):
    runs = {arm: runs_of(rows, outcome) for (own, arm), rows in arms.items() if own == share}
    alike = [folds for arm, folds in runs.items() if has_real_pairs(arm)]
    return Contrast(runs[first], runs[second], alike)


def main_rows(arms):
    """The cells of the primary table, by share and training set."""
    rows, family = {}, []
    for (share, arm), own in arms.items():
        means = [patient_mean(runs_of(own, outcome)) for outcome in (dice, false_finding)]
        cells = ["-" if mean is None else f"{100 * mean:.2f}" for mean in means]
        difference = guard = None
        if arm != "real" and (share, "real") in arms:
            difference, guard = (compared(arms, share, arm, "real", outcome) for outcome in (dice, false_finding))
            if difference.is_there:
                family.append((share, arm))
        rows[share, arm] = [cells, difference, guard, ""]
    for key, adjusted in zip(family, holm([rows[key][1].p for key in family])):
        rows[key][3] = p_text(adjusted, rows[key][1].is_bound and adjusted < 1)
    return rows


def main(arguments):
    if len(arguments) == 4 and arguments[1] == "--arms":
        arms = whole_folds(read(arguments[0]))
        for share in {share: None for share, _ in arms}:
            found = compared(arms, share, *arguments[2:], dice)
            text = f"{found.points()}, p {p_text(found.p, found.is_bound)}, detectable {100 * found.detectable:.2f}"
            print(f"{share} {arguments[2]} - {arguments[3]}: {text}".strip())
        return 0
    if not 1 <= len(arguments) <= 2:
        sys.exit(__doc__)
    arms = whole_folds(read(arguments[0]))
    table = open(arguments[1], encoding="utf-8").read() if len(arguments) == 2 else None
    missing = []
    print("| patients | training set | Dice % | - real | p | p (Holm) | detectable | found in % | - real |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (share, arm), (cells, difference, guard, adjusted) in main_rows(arms).items():
        there = difference is not None and difference.is_there
        points = difference.points() if there else ""
        p = p_text(difference.p, difference.is_bound) if there else ""
        detectable = f"{100 * difference.detectable:.2f}" if there else ""
        beside = guard.points() if guard is not None else ""
        print(f"| {share} | {arm} | {cells[0]} | {points} | {p} | {adjusted} | {detectable} | {cells[1]} | {beside} |")
        if table is not None:
            judged = f"| {cells[0]} | {points} | {p} | {adjusted} | {detectable} | {cells[1]} | {beside} |"
            # Without a verdict, p is not printed.
            open_ended = f"| {cells[0]} | {points} | no verdict |  | {detectable} | {cells[1]} | {beside} |"
            start = f"| {100 * float(share):.0f} |" if share else f"| {arm} |"
            lines = [line for line in table.splitlines() if line.startswith(start) and f"| {arm} |" in line]
            if not any(judged in line or open_ended in line for line in lines):
                missing.append(f"{share} {arm}: {judged}")
    print("\nAs the paper prints it:\n\n| patients | training set | Dice % | IoU % | precision % | recall % |\n|---|---|---|---|---|---|")
    for (share, arm), rows in arms.items():
        cells = [over_folds(rows, measure) for measure in MEASURES]
        print(f"| {share} | {arm} | {' | '.join(cells)} |")
        # low-data has no such table.
        if table is not None and not share:
            lines = [line for line in table.splitlines() if line.startswith(f"| {arm} |")]
            wanted = f"| {' | '.join(cells)} |"
            if not any(wanted in line for line in lines):
                missing.append(f"{arm}: {wanted}")
    if table is not None:
        print("\n".join(["", "not in the table:"] + missing) if missing else "\nequal to the table")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
