# SPDX-License-Identifier: MIT
"""clock.py: the clock of the program under test, wound by hand, so that a deadline of minutes takes no time.

    with Clock() as clock, fake.Upstream() as up, backend(up, clock=clock) as server:
        clock.stop()            # from here on no time passes for it
        clock.wind(14.9)        # ... but this
        clock.go_on()           # time passes by itself again

The program is the one under test, its objects linked once more with tests/clock/clock.c (`make wound`)."""

import ctypes
import mmap
import os
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 256
SETTLES = 20.0  # seconds; generous, for machines are shared
SECOND = 1_000_000_000


class ClockError(AssertionError):
    pass


class Process(ctypes.Structure):
    _fields_ = [('pid', ctypes.c_int64), ('asleep', ctypes.c_int64)]


class Face(ctypes.Structure):
    """As in tests/clock/clock.c. Each of its words is written in one piece, for others read them meanwhile."""
    _fields_ = [(name, ctypes.c_int64) for name in ('wound', 'stopped', 'mono', 'wall', 'lead', 'processes')]
    _fields_.append(('process', Process * PROCESSES))


def wound_program(program):
    """The program's twin with the clock: of dist/ollachat and of build/FLAVOUR/ollachat."""
    flavour = Path(program).resolve().parent.name
    if flavour == 'dist':
        flavour = Path(os.environ.get('RELEASE_DIR', 'build/release')).name
    twin = ROOT / 'build' / 'wound' / flavour / 'ollachat'
    if not twin.exists():
        raise ClockError(f'{twin} is not there: make wound')
    return str(twin)


class Clock:
    def __enter__(self):
        self._file = tempfile.NamedTemporaryFile(prefix='ollachat-clock-')
        self._file.truncate(ctypes.sizeof(Face))
        self._map = mmap.mmap(self._file.fileno(), 0)
        self._face = Face.from_buffer(self._map)
        self.env = {'TEST_CLOCK': self._file.name}
        return self

    def __exit__(self, *_):
        self._file.close()

    def stop(self):
        """From now on time passes only when it is wound."""
        ahead = self._face.lead + SECOND // 1000  # so that time never goes back for a process that asks right now
        self._face.mono = time.monotonic_ns() + ahead
        self._face.wall = time.time_ns() + ahead
        self._face.stopped = 1
        self.wind(0.001)

    def go_on(self):
        """Time passes by itself again (what passed during the stop did not)."""
        if self._face.stopped:
            self._face.lead = self._face.mono - time.monotonic_ns()
            self._face.stopped = 0

    def wind(self, seconds, step=None):
        """Lets time pass at once, in steps (of a second, or a 60th of it all), each of which has all its effects first."""
        left = round(seconds * SECOND)
        step = round((step or max(1, seconds / 60)) * SECOND)
        while left > 0:
            self._face.wound += min(step, left)
            left -= min(step, left)
            self.settle()

    def settle(self):
        """Waits until every process has done what was to be done by now, and sleeps."""
        end = time.monotonic() + SETTLES
        while True:
            busy = [one.pid for one in self._face.process[:self._face.processes]
                    if one.asleep != self._face.wound and _may_work(one.pid)]
            if not busy:
                return
            if time.monotonic() > end:
                raise ClockError(f'process {busy} does not come to rest')
            time.sleep(0.001)


def _may_work(pid):
    """It lives, and no test has stopped it."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] not in 'ZXT'
    except OSError:
        return False
