"""Calls of the binary: results, events, errors, and how they are stopped."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from conftest import SMALL, Made

import pig_pairs
from pig_pairs import Job, Message, Metrics, PigError, Progress, StageEnd

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")

#: Settings of a training that does not end within a test.
LONG = {**SMALL, "train.steps": 1_000_000, "train.model_x_steps": 1_000_000}


def is_alive(pid: int) -> bool:
    """Whether a process that is not ours runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> None:
    end = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < end, "the process still runs"
        time.sleep(0.05)


def fake(folder: Path, code: str) -> str:
    """A binary of ours, written in Python."""
    path = folder / "fake"
    path.write_text(f"#!{sys.executable}\nimport signal, sys, time\n{textwrap.dedent(code)}")
    path.chmod(0o755)
    return str(path)


def test_sample_gives_events_and_a_result(tmp_path: Path) -> None:
    with pig_pairs.sample("starter", range(3), out=tmp_path / "pairs", steps=4) as job:
        events = list(job)
        result = job.result()
    progress = [event for event in events if isinstance(event, Progress)]
    assert (progress[-1].stage, progress[-1].done, progress[-1].total) == ("sample", 4, 4)
    assert progress[-1].message == "3 of 3 pairs"
    assert any(isinstance(event, StageEnd) and event.stage == "sample" for event in events)
    assert (result["pairs"], result["made"], job.exit_code) == (3, 3, 0)
    again = pig_pairs.sample("starter", seeds=[2, 3], out=tmp_path / "pairs", steps=4).result()
    assert (again["pairs"], again["made"], again["skipped"]) == (4, 1, 1)
    assert [pair.seed for pair in pig_pairs.Pairs(tmp_path / "pairs")] == [0, 1, 2, 3]


def test_progress_comes_as_often_as_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIG_PROGRESS_SECONDS", "0")
    events = list(pig_pairs.sample("starter", [0], out=tmp_path / "pairs", steps=4))
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3, 4]
    monkeypatch.setenv("PIG_PROGRESS_SECONDS", "often")
    with pytest.raises(PigError, match='PIG_PROGRESS_SECONDS is "often"; expected a number of seconds'):
        pig_pairs.sample("starter", [0], out=tmp_path / "pairs").result()


def test_train_gives_its_metrics_and_goes_on(made: Made, tmp_path: Path) -> None:
    run = tmp_path / "run"
    plan = pig_pairs.train(made.data, run, set=SMALL, dry_run=True).result()
    assert plan["pairs"]["training"] > 0 and not run.exists()
    events = list(pig_pairs.train(made.data, run, set=SMALL))
    metrics = [event for event in events if isinstance(event, Metrics)]
    assert [(line.network, line.step) for line in metrics] == [
        (network, step) for network in ("model_x", "model_y") for step in range(1, 9)
    ]
    assert all(line.loss is not None and not line.other for line in metrics)
    assert metrics[3].validation is not None and len(metrics[3].validation["quarters"]) == 4
    assert any(isinstance(event, Message) and "16 pairs in 8 groups" in event.text for event in events)
    resumed = pig_pairs.train(resume=run)
    assert [event for event in resumed if isinstance(event, Metrics)] == []
    assert resumed.result() == {"run": str(run), "finished": True}


def test_segment_trains_predicts_and_evaluates(made: Made, tmp_path: Path) -> None:
    settings = {"data.size": 32, "segment.train.steps": 10, "segment.train.log_every": 5}
    training = pig_pairs.segment("train", data=made.data, add=[made.pairs], out=tmp_path / "run", set=settings)
    metrics = [event for event in training if isinstance(event, Metrics)]
    assert [(line.network, line.step) for line in metrics] == [("segmenter", 5), ("segmenter", 10)]
    assert metrics[-1].dice is not None
    predicted = pig_pairs.segment("predict", run=tmp_path / "run", data=made.data, out=tmp_path / "masks").result()
    assert predicted["pictures"] == 16
    found = pig_pairs.segment("evaluate", pred=tmp_path / "masks", truth=made.data).result()
    assert found["cases"] == 16 and "bootstrap" in found["definition"]


def test_any_command_can_be_called(made: Made, tmp_path: Path) -> None:
    result = pig_pairs.call("export", made.pairs, format="monai", out=tmp_path / "monai").result()
    assert result["pairs"] == 4 and (tmp_path / "monai" / "datalist.json").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"run": "no-such-run", "count": 1}, "no-such-run: not a run directory"),
        ({"run": "starter", "count": 1, "no_such_flag": 3}, "unexpected argument '--no-such-flag'"),
        ({"run": "starter", "seeds": "many"}, "is not a range of sample ids"),
        ({"run": "starter"}, "give --count N or --seeds A-B"),
        ({"run": "starter", "count": 1, "set": {"sample.etta": 1}}, "eta"),
    ],
)
def test_errors_have_the_message_of_the_binary(options: dict[str, object], said: str, tmp_path: Path) -> None:
    job = pig_pairs.sample(out=tmp_path / "out", **options)  # type: ignore[arg-type]
    with pytest.raises(PigError) as caught:
        list(job)
    error = caught.value
    assert said in str(error) and not str(error).startswith("error"), str(error)
    assert error.exit_code == job.exit_code == 1 and not error.interrupted and error.result is None
    assert error.command[1] == "sample" and "error: " in error.stderr
    # The iterator is at its end, and the result is the same error.
    assert list(job) == []
    with pytest.raises(PigError, match="."):
        job.result()
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.exit_code, copy.command) == (str(error), error.exit_code, error.command)


def test_a_fault_of_pig_has_another_code() -> None:
    with pytest.raises(PigError, match="this is a fault of pig") as caught:
        pig_pairs.call("panic").result()
    assert caught.value.exit_code == 2 and "a panic on request" in caught.value.stderr


@posix
def test_a_killed_process_is_an_error(made: Made, tmp_path: Path) -> None:
    job = pig_pairs.train(made.data, tmp_path / "run", set=LONG)
    next(event for event in job if isinstance(event, Metrics))
    os.kill(job.pid, signal.SIGKILL)
    with pytest.raises(PigError, match="pig was ended by SIGKILL") as caught:
        job.result()
    assert caught.value.exit_code == -signal.SIGKILL and not caught.value.interrupted


@posix
def test_a_stopped_training_saves_its_state_and_goes_on(made: Made, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pig_pairs.train(made.data, run, set=LONG) as job:
        for event in job:
            if isinstance(event, Metrics) and event.step == 6:
                break
        assert job.exit_code is None
    assert job.exit_code == 130 and not is_alive(job.pid)
    assert list(job) == []
    with pytest.raises(PigError, match="the same command goes on") as caught:
        job.result()
    assert caught.value.interrupted and caught.value.result == {"run": str(run), "finished": False}
    # The state of the stop was saved.
    saved = max(int(path.name.split("-")[1]) for path in run.glob("checkpoints/model_x/step-*"))
    assert saved >= 6
    with pig_pairs.train(resume=run) as job:
        first = next(event for event in job if isinstance(event, Metrics))
    assert first.step == saved + 1
    job.close()


@posix
def test_a_job_that_is_forgotten_is_stopped(made: Made, tmp_path: Path) -> None:
    job = pig_pairs.train(made.data, tmp_path / "run", set=LONG)
    next(event for event in job if isinstance(event, Metrics))
    pid = job.pid
    with pytest.warns(ResourceWarning, match="is stopped, since nobody waits for it"):
        del job
    assert not is_alive(pid)


@posix
@pytest.mark.parametrize("end", ["interrupt", "exit"])
def test_the_end_of_python_stops_the_command(made: Made, tmp_path: Path, end: str) -> None:
    """As in a terminal, Ctrl-C goes to the whole group of processes; the command must get it once."""
    script = f"""
import sys, pig_pairs
job = pig_pairs.train({str(made.data)!r}, {str(tmp_path / "run")!r}, set={LONG!r})
next(event for event in job if isinstance(event, pig_pairs.Metrics))
try:
    print(job.pid, flush=True)
    if {end!r} == "interrupt":
        job.result()
except KeyboardInterrupt:
    job.close()
    print("interrupted", job.exit_code, flush=True)
"""
    source = Path(pig_pairs.__file__).parent.parent
    python = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(source), "PIG_BINARY": str(pig_pairs.binary())},
    )
    assert python.stdout is not None
    pid = int(python.stdout.readline())
    if end == "interrupt":
        os.killpg(python.pid, signal.SIGINT)
        assert python.stdout.readline() == "interrupted 130\n"
    assert python.wait(timeout=60) == 0
    python.stdout.close()
    wait_until_gone(pid)
    assert list((tmp_path / "run").glob("checkpoints/model_x/step-*"))


@posix
def test_a_second_interrupt_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", file=sys.stderr, flush=True)
    time.sleep(60)
    """
    monkeypatch.setenv("PIG_BINARY", fake(tmp_path, code))
    monkeypatch.setattr("pig_pairs._job._AT_ONCE", 0.2)
    job = Job(["deaf"])
    assert next(job) == Message("deaf")
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(KeyboardInterrupt):
        job.close()
    assert job.exit_code == -signal.SIGKILL
    job.close()


@posix
@pytest.mark.parametrize(
    ("code", "said", "exit_code"),
    [
        ("print('no JSON')", "printed 'no JSON'; expected JSON", 0),
        (
            "sys.stderr.buffer.write(b'\\xff last words'); sys.exit(3)",
            "exit code 3; its last line was '� last words'",
            3,
        ),
        ("sys.exit(4)", "pig ended with exit code 4", 4),
        ("print('error: a\\n  b', file=sys.stderr); sys.exit(1)", "a\n  b", 1),
    ],
)
def test_odd_ends_are_errors(
    code: str, said: str, exit_code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIG_BINARY", fake(tmp_path, code))
    with pytest.raises(PigError) as caught:
        Job(["odd"]).result()
    assert said in str(caught.value) and caught.value.exit_code == exit_code


@posix
def test_much_output_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
    print("[" + "1," * 300000 + "1]")
    print("a line\\n" * 30000, file=sys.stderr)
    """
    monkeypatch.setenv("PIG_BINARY", fake(tmp_path, code))
    job = Job(["much"])
    assert sum(isinstance(event, Message) for event in job) == 30000
    assert len(job.result()) == 300001
