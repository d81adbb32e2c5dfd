"""`python -m pig_pairs ARGUMENTS` is `pig ARGUMENTS`."""

from __future__ import annotations

import os
import subprocess
import sys

from ._binary import binary
from ._errors import BinaryNotFoundError


def main() -> int:
    """Runs the binary with the arguments of this process."""
    try:
        command = [str(binary()), *sys.argv[1:]]
    except BinaryNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if sys.platform == "win32":
        # There, exec would return to the shell before the program ends.
        return subprocess.run(command, check=False).returncode
    os.execv(command[0], command)


if __name__ == "__main__":
    sys.exit(main())
