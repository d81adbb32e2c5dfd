"""kill_export.py PIG PAIRS WORK: exports that are killed, at random instants and at chosen calls that change files.

OUT must be absent or whole, the same command must then give what an undisturbed one gives, and no temporary folder may stay. This takes
the place of a part of kill.py that fails when pig removes a folder that the script itself wants to remove. PYTHONPATH must name ../shared/hostile."""
import os
import random
import sys
from pathlib import Path

from common import Pig, Report, differs, fresh, shim, tree

FORMATS = ["nnunet", "dicom-seg", "coco", "nifti", "webdataset", "png", "monai"]
INSTANTS, POINTS = 6, int(os.environ.get("POINTS_EACH", "10"))

binary, pairs, work = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
work.mkdir(parents=True, exist_ok=True)
pig, report, rng = Pig(binary, work / "kill_export.log.jsonl"), Report(work, "kill_export"), random.Random(7)
preload, count, out = {"LD_PRELOAD": shim(work)}, work / "count", work / "out"


# All exports have one name, which nnU-Net's dataset.json repeats.
def export(kind):
    return ["export", pairs, "--format", kind, "--out", out]


def undisturbed(kind, **more):
    fresh(out)
    ended = pig(*export(kind), **more)
    assert ended.rc == 0, ended.err
    return ended.seconds, tree(out)


def state(by_name):
    """The files in OUT; those of `by_name` without their content."""
    return {place: "" if place in by_name else value for place, value in tree(out).items()}


for kind in FORMATS:
    seconds, first = undisturbed(kind)
    _, whole = undisturbed(kind, env={**preload, "CRASH_COUNT": str(count)})
    assert set(first) == set(whole), differs(first, whole)
    # DICOM holds new UIDs and the time: what differs between two undisturbed exports is compared by name.
    by_name = {place for place in whole if first[place] != whole[place]}
    whole, calls = state(by_name), int(count.read_text())
    kills = absent = 0
    failures, strays = [], []
    points = sorted(rng.sample(range(1, calls + 1), min(POINTS, calls)))
    for turn in range(INSTANTS + len(points)):
        fresh(out)
        if turn < INSTANTS:
            ended = pig.killed(export(kind), rng.uniform(0.002, seconds * 0.95))
        else:
            point = points[turn - INSTANTS]
            torn = {"CRASH_TORN": "1"} if point % 2 else {}
            ended = pig(*export(kind), env={**preload, "CRASH_AT": str(point), **torn})
        kills += ended.rc == -9
        if ended.rc not in (-9, 0):
            failures.append(f"ends with {ended.rc}: {ended.last()}")
        if out.exists():
            failures += differs(whole, state(by_name))
        else:
            absent += 1
            ended = pig(*export(kind))
            failures += [ended.last()] if ended.rc else differs(whole, state(by_name))
        strays += [path.name for path in work.iterdir() if path.name.startswith(".out.")]
    report.say("export killed", format=kind, kills=kills, absent=absent, calls=calls, by_name=len(by_name), files=len(whole), failures=failures, strays=strays, whole_seconds=round(seconds, 2))
