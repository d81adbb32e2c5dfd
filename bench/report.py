"""Computes figures from rounds, and makes a Markdown table of the figures."""

import importlib.metadata
import statistics

MODE_NAMES = {"eager": "eager", "channels_last": "channels_last", "compile": "channels_last + compile"}


# If other programs keep more cores busy than this, the report says so.
QUIET = 0.2


def version(package):
    """The version of an installed package."""
    return importlib.metadata.version(package)


def summary(result):
    """Figures of a case: the median step of each round is one value; a range is from the smallest to the largest round."""
    rounds = result["rounds"]
    medians = {
        side: [statistics.median(one["seconds"][side]) for one in rounds] for side in ("pig", "torch")
    }
    ratios = [pig / torch for pig, torch in zip(medians["pig"], medians["torch"])]
    flops, precision = result["pig"]["flops"], result["precision"]
    peaks = [one["peak"][precision] for one in rounds]
    figures = {}
    for side, values in medians.items():
        shares = [flops / seconds / peak for seconds, peak in zip(values, peaks)]
        figures[side] = spread(values) | {
            "flops_per_s": flops / statistics.median(values),
            "share_of_peak": statistics.median(shares),
        }
    return {
        "times": figures,
        "ratio": spread(ratios),
        "peak_flops_per_s": statistics.median(peaks),
        "memory_ratio": memory_ratio(result),
        "other_cores": max((one["other_cores"] or 0.0) for one in rounds),
    }


def spread(values):
    """Median and range of the values."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def memory_ratio(result):
    """pig's memory divided by that of the PyTorch mode that uses least."""
    modes = [seen["step_mib"] for seen in result["torch"].values() if "step_mib" in seen]
    return result["pig"]["step_mib"] / min(modes) if modes and "step_mib" in result["pig"] else None


def difference_text(seen):
    """The differences of one side as text."""
    parts = (f"{kind} {of['relative']:.1e} ({of['absolute']:.1e})" for kind, of in seen["differences"].items())
    return ", ".join(parts)


def seen_text(seen):
    """The warm-up of one side as text."""
    if "unsupported" in seen:
        return seen["unsupported"]
    return f"{1e3 * statistics.median(seen['warm_up_s']):.1f} ms; {difference_text(seen)}"


def quiet(result):
    """Whether the machine was quiet enough for the times of a case to count."""
    return result["other_cores"] <= QUIET


def judged(ratio, bar):
    """The bar, and whether it is met."""
    if bar is None:
        return "-"
    return f"{bar:.2f} {'met' if ratio <= bar else 'missed'}"


def milliseconds(figures):
    """Median (smallest to largest), with the digits that are reproducible between runs."""
    digits = 0 if figures["median"] >= 0.1 else 1
    low, middle, high = (f"{1e3 * figures[key]:.{digits}f}" for key in ("min", "median", "max"))
    return f"{middle} ({low} to {high})"


def table(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines) + "\n"


def markdown(about, results):
    """The report."""
    text = (
        f"{about['machine']}, {about['threads']} threads, {about['started']}, PyTorch {about['torch']}, "
        f"diffusers {about['diffusers']}, {about['rounds']} rounds, cargo profile {about['profile']}.\n\n"
    )
    timed = [result for result in results if "ratio" in result]
    if timed:
        text += "Times in ms: median (range) over rounds. GFLOP/s and share of the peak: first pig, then PyTorch; the peak is measured "
        text += "in the same round. Others: cores that other programs kept busy in the worst round.\n\n"
        text += table(
            ["work", "precision", "pig", "PyTorch", "mode", "ratio (range)", "bar", "GFLOP/s", "share", "peak", "others"],
            [time_row(result) for result in timed],
        )
        if not all(map(quiet, timed)):
            text += "**The machine was not quiet**: PyTorch splits its work evenly over threads that wait for each other, so that other "
            text += "programs slow it down more than pig. These ratios are too favourable for pig and are not judged.\n\n"
    text += "All sides: median of the warm-up in ms, and largest differences from PyTorch's eager f32 (relative; absolute in brackets).\n\n"
    text += table(
        ["work", "precision", "side", "ms", "first step, s", "differences"],
        [row for result in results for row in warm_up_rows(result)],
    )
    memory = [result for result in results if any("step_mib" in seen for seen in sides(result).values())]
    if memory:
        text += "Peak resident memory in MiB: of the steps (peak minus what was resident after loading), and in total.\n\n"
        text += table(
            ["work", "precision", "side", "steps", "total", "ratio to PyTorch's smallest", "bar"],
            [row for result in memory for row in memory_rows(result)],
        )
    return text.rstrip("\n") + "\n"


def sides(result):
    """{name: measurements} of pig and of every PyTorch mode."""
    return {"pig": result["pig"]} | {f"PyTorch {MODE_NAMES[mode]}": seen for mode, seen in result["torch"].items()}


def time_row(result):
    """One row of the first table."""
    pig, torch, ratio = result["times"]["pig"], result["times"]["torch"], result["ratio"]
    return [
        result["case"],
        result["precision"],
        milliseconds(pig),
        milliseconds(torch),
        MODE_NAMES[result["best_mode"]],
        f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})",
        judged(ratio["median"], result["bar"]) if quiet(result) else f"{result['bar']:.2f} not judged",
        f"{pig['flops_per_s'] / 1e9:.0f}, {torch['flops_per_s'] / 1e9:.0f}",
        f"{100 * pig['share_of_peak']:.0f} %, {100 * torch['share_of_peak']:.0f} %",
        f"{result['peak_flops_per_s'] / 1e9:.0f}",
        f"{result['other_cores']:.1f}",
    ]


def warm_up_rows(result):
    """One row for each side."""
    for name, seen in sides(result).items():
        start = [result["case"], result["precision"], name]
        if "unsupported" in seen:
            yield [*start, "-", "-", seen["unsupported"].replace("|", "/")]
        else:
            times = [f"{1e3 * statistics.median(seen['warm_up_s']):.1f}", f"{seen['first_step_s']:.1f}"]
            yield [*start, *times, difference_text(seen)]


def memory_rows(result):
    """One row for each side whose memory was measured."""
    for name, seen in sides(result).items():
        if "step_mib" not in seen:
            continue
        row = [result["case"], result["precision"], name, f"{seen['step_mib']:.0f}", f"{seen['peak_mib']:.0f}"]
        ratio = result.get("memory_ratio")
        if name != "pig" or ratio is None:
            yield [*row, "", ""]
        else:
            yield [*row, f"{ratio:.2f}", judged(ratio, result["memory_bar"])]
