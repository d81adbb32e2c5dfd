"""Reads cases.toml, and adds what all cases of a network share."""

import tomllib
from pathlib import Path

# The network time of sample i, and the timestep of the step of Algorithm 2.
TIMES, TIMESTEP = (lambda i: float((100 + 131 * i) % 1024)), 512
LEARNING_RATE = 1e-4


def read():
    """cases.toml as it is."""
    return tomllib.loads((Path(__file__).resolve().parent / "cases.toml").read_text())


def filled(table, case):
    """A case with everything that a worker needs, except the precision."""
    network = table["networks"][case["network"]]
    times = [TIMES(i) for i in range(case["batch"])]
    filled = {"peer": network["peer"], "unet": network["unet"], "times": times, "t": TIMESTEP}
    return case | filled | {"learning_rate": LEARNING_RATE}


def of_engine():
    """The cases of `bench/run`, and their tolerances."""
    table = read()
    return [filled(table, case) for case in table["cases"]], table["tolerance"]
