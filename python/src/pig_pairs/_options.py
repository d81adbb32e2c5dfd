"""Keyword arguments as flags of the binary."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Union

#: Sample ids: a range, any numbers, or the binary's own words such as "0-2047" or "5,7,9-12".
Seeds = Union[str, Iterable[int]]


def flags(options: Mapping[str, Any]) -> list[str]:
    """The flags of the keyword arguments.

    - ``given_mask="MASKS"`` is ``--given-mask=MASKS``; numbers and paths likewise.
    - ``dry_run=True`` is ``--dry-run``; ``False`` and ``None`` give no flag.
    - ``add=["A", "B"]`` is ``--add=A --add=B``.
    - ``set={"sample.eta": 0.5, "data.size": [64, 64]}`` is ``--set=sample.eta=0.5 --set=data.size=[64, 64]``.

    Raises:
        TypeError: a value of another type, or the flag ``json``, which every call has anyway.
    """
    words: list[str] = []
    for name, value in options.items():
        if name == "json":
            raise TypeError("json=... is not an option: every call of the binary prints JSON already")
        flag = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            words.append(flag)
        elif isinstance(value, Mapping):
            words.extend(f"{flag}={key}={_setting(f'{name}[{key!r}]', inner)}" for key, inner in value.items())
        elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            words.extend(f"{flag}={_word(name, inner)}" for inner in value)
        else:
            words.append(f"{flag}={_word(name, value)}")
    return words


def seed_words(seeds: Seeds) -> str:
    """Sample ids in the words of ``--seeds``: ``range(0, 8)`` is ``0-7``.

    Raises:
        TypeError: something that is not made of whole numbers. A single number is refused, since it might be meant
            as a count.
        ValueError: no seed, or a negative one.
    """
    if isinstance(seeds, str):
        return seeds
    if isinstance(seeds, int) or not isinstance(seeds, Iterable):
        raise TypeError(
            f"seeds={seeds!r} is neither a range, numbers nor text; give seeds=range(0, 8), seeds=[5], or count=8"
        )
    numbers = sorted({_whole(seed) for seed in seeds})
    if not numbers:
        raise ValueError("seeds has no number; give at least one, such as seeds=range(0, 8)")
    if numbers[0] < 0:
        raise ValueError(f"seeds holds {numbers[0]}; expected numbers from 0 on")
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in _runs(numbers))


def _runs(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """The first and last of every run of consecutive numbers."""
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


def _whole(seed: Any) -> int:
    try:
        return int(seed.__index__())
    except AttributeError:
        raise TypeError(f"seeds holds {seed!r}; expected whole numbers") from None


def _word(name: str, value: Any) -> str:
    """A value on the command line."""
    if isinstance(value, (str, os.PathLike)):
        word = os.fspath(value)
        if isinstance(word, str):
            return word
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    elif hasattr(value, "__index__") and not isinstance(value, bool):
        return str(value.__index__())
    raise TypeError(
        f"{name}={value!r} is a {type(value).__name__}; expected text, a path, a number, True, or a list of these"
    )


def _setting(name: str, value: Any) -> str:
    """The value of a configuration key, as TOML; text stays as it is."""
    if isinstance(value, (bool, list, tuple)):
        return json.dumps(value)
    return _word(name, value)
