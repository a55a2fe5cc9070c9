#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py: the program as a whole and under load: many streams, crowds, every fault again and again, load balancers in
front. `run.py -v WORD` runs the tests whose names contain WORD; OLLACHAT_BIN names the program. The last line says how
many passed and failed."""

import importlib
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness  # noqa: E402

for file in sorted(Path(__file__).parent.glob('*.py')):  # each registers its tests
    if file.stem != 'run':
        importlib.import_module(f'system.{file.stem}')

if __name__ == '__main__':
    sys.exit(harness.main(__doc__, timeout=120, jobs=2))
