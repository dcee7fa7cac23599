"""What a tree of processes takes, against what psutil says."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest
from mersey.engine.runtime.process_tree import Footprint, cpu_seconds, process_tree, pss_bytes

PROGRAM = """
import subprocess, sys
block = bytearray(b"x") * (40 << 20)
child = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdout=-1, stdin=-1)
child.stdout.readline()
sum(range(10_000_000))
print(flush=True)
input()
child.communicate(b"\\n")
"""


@pytest.fixture
def running():
    """A process with a child, which holds 40 MiB and has used the CPU."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        if process.returncode is None:
            process.communicate(b"\n")


def test_a_tree_is_the_process_and_its_descendants(running) -> None:
    expected = {running.pid, *(one.pid for one in psutil.Process(running.pid).children())}
    assert len(expected) == 2
    assert set(process_tree(running.pid)) == expected
    assert expected < set(process_tree(os.getpid()))


def test_memory_and_time_are_those_of_the_whole_tree(running) -> None:
    tree = [psutil.Process(process_id) for process_id in process_tree(running.pid)]
    expected = sum(one.memory_full_info().pss for one in tree)
    assert pss_bytes(running.pid) == pytest.approx(expected, rel=0.3)
    times = [one.cpu_times() for one in tree]
    seconds = sum(one.user + one.system for one in times)
    assert cpu_seconds(running.pid) == pytest.approx(seconds, abs=0.1)
    assert seconds > 0.05


def test_a_process_that_is_gone_takes_nothing(running) -> None:
    running.communicate(b"\n")
    assert pss_bytes(running.pid) == 0
    assert cpu_seconds(running.pid) == 0


def test_a_footprint_has_the_peak_and_the_way_there(running) -> None:
    with Footprint(running.pid) as footprint:
        running.communicate(b"\n")
    assert footprint.peak_bytes > 40 << 20
    assert footprint.samples[0][1] > 40 << 20
    seconds = [second for second, _ in footprint.samples]
    assert seconds == sorted(seconds)
