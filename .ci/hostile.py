"""hostile.py WORK: reads the reports of the hostile campaigns (WORK/*/*.report.jsonl), prints every line that shows a fault, and fails if there is one.

A line of a report says what was done and how it ended. Each kind of line has a rule here; a kind without a rule is a fault too,
so that a new campaign cannot pass unseen."""
import json
import re
import sys
from pathlib import Path

# Ways of ending that are right for any input: success, an error that says what is wrong, and a stop that was asked for.
GOOD = {"ok", "clean error", "interrupted"}


def no_failures(line):
    return not line.get("failures") and not line.get("wrong")


def ended_well(line):
    return line.get("verdict") in GOOD


def one_writer(line):
    """Two processes on one folder: nobody fails with anything but a refusal, and somebody finishes."""
    return all(code in (0, 1) for code in line["rc"]) and 0 in line["rc"]


def is_there_already(words):
    """An export is never overwritten, so one that was finished before the command ended is refused the next time."""
    return "the folder is not empty; expected a new name or an empty folder" in words


def stopped(line):
    """A signal stops a command, unless it was about to end."""
    if line["command"] == "export" and line["rc"] == 0 and is_there_already(line["resumed_last"]):
        return line["seconds_after"] < 2
    return line["resumed"] == 0 and (line["rc"] == 130 or (line["rc"] == 0 and line["seconds_after"] < 2))


def killed_after_the_end(line):
    """At its last call an export is in its place already."""
    return line["command"] == "export" and line["point"] == line["of"] and all(is_there_already(words) for words in line["wrong"])


def only_a_preview_is_missing(words):
    """A preview that cannot be written is a warning: it must not cost the training."""
    missing = re.findall(r"'([^']*)'", words)
    return words.startswith("success, but") and bool(missing) and all(name.startswith("only in the first: previews/") for name in missing)


def names_the_full_disk(line):
    """Whether the error names the disk, and advises what the command allows: a run that exists is continued or removed."""
    if line["verdict"] != "clean error" or "space" not in line["last"]:
        return False
    if line["command"] != "train" or not line["out_exists"]:
        return True
    return "--resume" in line["last"] or "remove" in line["last"]


RULES = {
    # kill
    "train round": no_failures, "train": no_failures, "sample round": no_failures, "sample": no_failures, "prepare": no_failures, "crossval": no_failures,
    # Each failure has a line of its own.
    "points": lambda line: line["tried"] > 0,
    "crash point fails": killed_after_the_end,
    # kill_export
    "export killed": lambda line: line["kills"] > 0 and not line["failures"] and not line["strays"],
    # full; a share of the disk may suffice, since a whole folder is measured with its file names alone
    "tmpfs": lambda line: line["afterwards"] == "equal" and (line["rc"] == 0 or names_the_full_disk(line)),
    "full at a call fails": lambda line: all(only_a_preview_is_missing(words) for words in line["wrong"]),
    # crafted
    "fails": lambda line: False, "heavy": lambda line: False,
    "counted": lambda line: True,
    "pickles that ran a command": lambda line: line["count"] == 0,
    # corpus
    "file fails": lambda line: False,
    "corpus": lambda line: line["bad"] == 0,
    "all at once": ended_well,
    # rundir
    "untouched": lambda line: all(line[kind] == 0 for kind in ("sample", "resume", "report")),
    "files": lambda line: True,
    "look": lambda line: False,
    # together
    "two shards": lambda line: line["rc"] == [0, 0] and not line["wrong"],
    "the same seeds twice": one_writer,
    "two resumes of one run": lambda line: one_writer(line) and line["arrays"] == "equal or refused" and line["doubled"] == 0 and line["missing"] == 0,
    "resume after that": lambda line: line["metrics_equal"] and line["arrays"] == "equal",
    "two trainings into one new run": lambda line: one_writer(line) and line["metrics_equal"] and line["arrays"] == "equal",
    "two crossvals into one OUT": lambda line: one_writer(line) and line["afterwards"] == 0 and line["cases_equal"],
    "data removed during training": lambda line: line["rc"] in (0, 1),
    "resume without the data folder": lambda line: line["rc"] == 1 and "--data" in line["last"],
    "resume, the data folder is empty": lambda line: line["rc"] == 1,
    "resume, half of the data": lambda line: line["rc"] == 1,
    "resume, one pixel is another": lambda line: line["rc"] == 1,
    "resume with --data": lambda line: line["rc"] == 0 and line["arrays"] == "equal",
    "sample of a run whose data are gone": lambda line: line["rc"] == 0,
    "read-only --out": lambda line: line["verdict"] == "clean error",
    "--out is no folder: done": lambda line: True,
    "signal": stopped,
    "too fast": lambda line: True,
    # generated
    "sample again": lambda line: ended_well(line) and (line["rc"] != 0 or line["equal"]),
    # privacy
    "privacy": lambda line: bool(line["found"]) if line["command"].startswith("control") else not line["found"],
    "markup": lambda line: not line["found"],
    "names prepared": lambda line: True,
    "other text in the run": lambda line: not line["markup"],
}


def export(line):
    """Two campaigns have lines of this name: kills during an export, and exports of hurt pairs."""
    if "kills" in line:
        return not line["failures"] and line["stray_folders_left"] == 0
    return ended_well(line) and not line["stray"] and not line["passwd"]


def fine(report, line):
    what = line["what"]
    if what == "export":
        return export(line)
    if what.startswith("--out is ") and what not in RULES:
        return False
    if report.startswith("folders"):
        return ended_well(line)
    return RULES[what](line) if what in RULES else False


def main(work):
    reports = sorted(Path(work).glob("*/*.report.jsonl"))
    if not reports:
        sys.exit(f"hostile: no reports below {work}")
    lines = faults = 0
    for path in reports:
        for text in path.read_text().splitlines():
            lines += 1
            line = json.loads(text)
            if not fine(path.name, line):
                faults += 1
                print(f"{path.parent.name}: {text}")
    print(f"hostile: {lines} lines in {len(reports)} reports, {faults} to look at")
    sys.exit(1 if faults else 0)


main(sys.argv[1])
