# SPDX-License-Identifier: MIT
"""clock.py: the clock of the program under test, wound by hand, so that a deadline of minutes takes no time.

    with Clock() as clock, fake.Upstream() as up, backend(up, clock=clock) as server:
        clock.stop()            # from here on no time passes for it
        clock.wind(14.9)        # ... but this
        clock.go_on()           # time passes by itself again

The program is the one under test, its objects linked once more with tests/clock/clock.c (`make wound`)."""

import mmap
import os
import struct
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 256
WOUND, STOPPED, MONO, WALL, LEAD, COUNT = range(6)  # as struct face in tests/clock/clock.c
HEAD = struct.Struct('=6q')
PROCESS = struct.Struct('=2q')
SETTLES = 20.0  # seconds; generous, for machines are shared
SECOND = 1_000_000_000


class ClockError(AssertionError):
    pass


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
        self._file.truncate(HEAD.size + PROCESSES * PROCESS.size)
        self._face = mmap.mmap(self._file.fileno(), 0)
        self.env = {'TEST_CLOCK': self._file.name}
        self.wound = 0
        return self

    def __exit__(self, *_):
        self._file.close()

    def _put(self, place, value):
        struct.pack_into('=q', self._face, 8 * place, value)

    def _get(self, place):
        return struct.unpack_from('=q', self._face, 8 * place)[0]

    def stop(self):
        """From now on time passes only when it is wound."""
        ahead = self._get(LEAD) + SECOND // 1000  # so that time never goes back for a process that asks right now
        self._put(MONO, time.monotonic_ns() + ahead)
        self._put(WALL, time.time_ns() + ahead)
        self._put(STOPPED, 1)
        self.wind(0.001)

    def go_on(self):
        """Time passes by itself again (what passed during the stop did not)."""
        if self._get(STOPPED):
            self._put(LEAD, self._get(MONO) - time.monotonic_ns())
            self._put(STOPPED, 0)

    def wind(self, seconds, step=None):
        """Lets time pass at once, in steps (of a second, or a 60th of it all), each of which has all its effects first."""
        left = round(seconds * SECOND)
        step = round((step or max(1, seconds / 60)) * SECOND)
        while left > 0:
            self.wound += min(step, left)
            left -= min(step, left)
            self._put(0, self.wound)
            self.settle()

    def settle(self):
        """Waits until every process has done what was to be done by now, and sleeps."""
        end = time.monotonic() + SETTLES
        while True:
            late = [pid for pid, asleep in self._processes() if asleep != self.wound and _alive(pid)]
            if not late:
                return
            if time.monotonic() > end:
                raise ClockError(f'process {late} does not come to rest')
            time.sleep(0.001)

    def _processes(self):
        count = self._get(COUNT)
        return [PROCESS.unpack_from(self._face, HEAD.size + n * PROCESS.size) for n in range(count)]


def _alive(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except OSError:
        return False
