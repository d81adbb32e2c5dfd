"""The results of `bench/gpu run`: one line of JSON for each, written at once, and a Markdown table made again after each."""

import json
import os
import time


class Record:
    """The results so far, in `results.jsonl` and `results.md` of a folder."""

    def __init__(self, folder, about):
        self.folder, self.lines, self.start = folder, [], time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        self.file = (folder / "results.jsonl").open("w")
        self.add("run", **about)

    def add(self, step, **values):
        """Writes a result, to the disk, before it returns."""
        line = {"step": step, "at_s": round(time.monotonic() - self.start, 1)} | values
        self.lines.append(line)
        print(json.dumps(line), file=self.file, flush=True)
        os.fsync(self.file.fileno())
        (self.folder / "results.md").write_text(markdown(self.lines))
        print(
            f"[{line['at_s']:6.1f} s] {step}: " + ", ".join(f"{key} {shown(value)}" for key, value in values.items()),
            flush=True,
        )

    def of(self, step, **wanted):
        """The results of a step that have these values."""
        chosen = [line for line in self.lines if line["step"] == step]
        return [line for line in chosen if all(line.get(key) == value for key, value in wanted.items())]


def shown(value):
    """A value as text."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 300 else text[:300] + " .."


def table(header, rows):
    """A Markdown table; empty without rows."""
    rows = list(rows)
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return (
        "".join("| " + " | ".join(str(cell).replace("|", "/").replace("\n", " ") for cell in line) + " |\n" for line in lines)
        + "\n"
    )


def markdown(lines):
    """The report."""
    text = "# bench/gpu run\n\n"
    for line in lines:
        if line["step"] in ("run", "machine"):
            text += "".join(f"- {key}: {shown(value)}\n" for key, value in line.items() if key not in ("step", "at_s"))
    text += "\n## Parity\n\nThe largest differences, relative to the largest value of the tensor.\n\n"
    header = ["work", "precision", "side", "against", "outputs", "gradients", "worst", "within the tolerance"]
    text += table(header, (parity_row(line) for line in lines if line["step"] == "parity"))
    text += "## Speed\n\nMilliseconds of a step: median (smallest to largest), and images in a second. The first step includes compiling and tuning.\n\n"
    header = ["work", "size", "batch", "side", "precision", "ms", "images/s", "first step, s", "GPU memory, MiB"]
    text += table(header, (speed_row(line) for line in sorted((line for line in lines if line["step"] == "speed"), key=order)))
    text += "## Training\n\n"
    for line in lines:
        if line["step"].startswith("training"):
            text += (
                f"- {line['step']}: "
                + ", ".join(f"{key} {shown(value)}" for key, value in line.items() if key != "step")
                + "\n"
            )
    problems = [line for line in lines if "failed" in line]
    if problems:
        text += "\n## Failed\n\n" + "".join(
            f"- {line['step']} at {line['at_s']} s: {shown(line['failed'])}\n" for line in problems
        )
    return text


def order(line):
    """Rows of one work and size stand together."""
    return line.get("work", ""), line.get("size", 0), line.get("side", ""), line.get("precision", "")


def parity_row(line):
    """One row of the parity table."""
    if "outputs" not in line:
        return [
            line.get("work", ""),
            line.get("precision", ""),
            line.get("side", ""),
            line.get("against", ""),
            "-",
            "-",
            line.get("failed", ""),
            "-",
        ]
    gradients = f"{line['gradients']:.1e}" if line.get("gradients") is not None else "-"
    return [
        line["work"],
        line["precision"],
        line["side"],
        line["against"],
        f"{line['outputs']:.1e}",
        gradients,
        line["worst"],
        line["within"],
    ]


def speed_row(line):
    """One row of the speed table."""
    start = [line["work"], line["size"], line["batch"], line["side"], line["precision"]]
    if "ms" not in line:
        return [*start, line.get("failed", "-")[:120], "-", "-", "-"]
    spread = f"{line['ms']:.1f} ({line['least_ms']:.1f} to {line['most_ms']:.1f})"
    memory = "-" if line.get("memory_mib") is None else f"{line['memory_mib']:.0f}"
    return [*start, spread, f"{line['images_per_s']:.0f}", f"{line['first_step_s']:.1f}", memory]
