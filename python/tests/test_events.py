"""Lines of the binary as events. That the binary still writes such lines is shown by test_job.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from pig_pairs import Event, Message, Metrics, Progress, StageEnd
from pig_pairs._events import MetricsFile, event_of


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sample 20/20  4 of 4 pairs  0 s left\n", Progress("sample", 20, 20, "4 of 4 pairs", 0)),
        ("phantom 16/16    0 s left", Progress("phantom", 16, 16, "", 0)),
        (
            "model_x 4/400  loss 1.1543, validation 1.1602, 65.3 images/s  3 min 20 s left",
            Progress("model_x", 4, 400, "loss 1.1543, validation 1.1602, 65.3 images/s", 200),
        ),
        ("fold 0 pig 1/2  x  2 h 5 min left", Progress("fold 0 pig", 1, 2, "x", 7500)),
        ("sample: 1 s", StageEnd("sample", 1)),
        ("model_y: 2 h 5 min", StageEnd("model_y", 7500)),
        ("warning: masks are empty", Message("masks are empty", warning=True)),
        ("data: 16 pairs in 8 groups; layout: images/", Message("data: 16 pairs in 8 groups; layout: images/")),
        ("data: 16 pairs", Message("data: 16 pairs")),
        (" \n", None),
    ],
)
def test_lines_are_events(line: str, expected: Event | None) -> None:
    assert event_of(line) == expected


def test_the_share_of_a_stage() -> None:
    assert Progress("a", 1, 4).fraction == 0.25
    assert Progress("a", 0, 0).fraction == 1


def test_new_lines_of_metrics_are_followed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    first = '{"network":"x","step":1,"loss":0.5}\n'
    assert list(MetricsFile(path).new()) == []
    path.write_text(first + '{"network":"x","step":2}\n')
    file = MetricsFile(path)
    assert list(file.new()) == []
    with path.open("a") as appended:
        appended.write('{"network":"x","step":3,"dice":0.25,"new":[1]}\n{"network":"x","st')
        appended.flush()
        assert list(file.new()) == [Metrics("x", 3, dice=0.25, other={"new": [1]})]
        appended.write('ep":4,"loss":0.25}\nno line of ours\n[1]\n')
        appended.flush()
        assert list(file.new()) == [Metrics("x", 4, loss=0.25)]
    # A continued training writes the file anew, without the lines behind its checkpoint.
    other = tmp_path / "other"
    other.write_text(first + '{"network":"x","step":2,"loss":0.125}\n')
    other.replace(path)
    assert list(file.new()) == [Metrics("x", 2, loss=0.125)]
    assert list(file.new()) == []
