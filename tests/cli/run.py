#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py: the program as a command: what it says, where, and with which exit code. `run.py -v WORD` runs the tests whose
names contain WORD; OLLACHAT_BIN names the program. The last line says how many passed and failed."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness  # noqa: E402
from cli import access, life, pull, words  # noqa: E402,F401

if __name__ == '__main__':
    sys.exit(harness.main(__doc__))
