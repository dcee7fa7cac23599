"""A nursery bears workers that are ready, and leaves none behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading

import pytest
from mersey.engine.runtime.nursery import Nursery
from mersey.engine.runtime.preparation import KERNELS, LIBRARIES
from mersey.engine.runtime.worker_pool import WorkerPool

_PROGRAM = """
import os, sys, time
from mersey.engine.runtime import frame_run
from mersey.engine.runtime.nursery import Nursery
from mersey.engine.runtime.preparation import KERNELS, LIBRARIES
from mersey.engine.runtime.worker_pool import WorkerPool

{body}
"""


def run_program(body: str, **options: str) -> subprocess.Popen[str]:
    """A program of one thread; what it prints is read by lines."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _PROGRAM.format(body=body)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"} | options,
    )


def wait_for_end(process: int) -> None:
    """Wait for the end of a process, that a pidfd stands for, and let go of it."""
    try:
        assert select.select([process], [], [], 240)[0]
    finally:
        os.close(process)


def test_two_pools_share_a_nursery_and_end_only_their_own_workers() -> None:
    with Nursery() as nursery, WorkerPool(jobs=1, nursery=nursery) as one:
        parent = one.submit(os.getppid).result()
        with WorkerPool(jobs=1, nursery=nursery) as other:
            assert other.submit(os.getppid).result() == parent
        assert one.submit(divmod, 7, 2).result() == (3, 1)
    with pytest.raises(ProcessLookupError):
        os.kill(parent, 0)


def test_workers_die_with_their_nursery_and_a_new_one_takes_its_place() -> None:
    with WorkerPool(jobs=1) as pool:
        first = pool.submit(os.getpid).result()
        worker = os.pidfd_open(first)
        os.kill(pool.submit(os.getppid).result(), signal.SIGKILL)
        wait_for_end(worker)
        assert pool.submit(os.getpid).result() != first


def test_workers_are_born_again_with_what_their_nursery_was_prepared_with() -> None:
    with Nursery() as nursery, WorkerPool(jobs=1, nursery=nursery) as pool:
        before = pool.submit(os.getpid).result()
        nursery.prepare(LIBRARIES)
        nursery.prepare(KERNELS)
        after = pool.submit(os.getpid).result()
        modules = "{'pydicom', 'numba', 'mersey.codecs.kernels.compiled'}"
        assert pool.submit(eval, f"{modules} <= set(__import__('sys').modules)").result()
        assert after != before
        assert pool.submit(os.getpid).result() == after
        # It may be forked only as long as it has one thread.
        nursery_id = pool.submit(os.getppid).result()
        assert len(os.listdir(f"/proc/{nursery_id}/task")) == 1


def test_a_step_that_cannot_be_taken_costs_nothing_else() -> None:
    with Nursery() as nursery, WorkerPool(jobs=1, nursery=nursery) as pool:
        nursery.prepare([-1])
        nursery_id = pool.submit(os.getppid).result()
        nursery.prepare([-1])
        assert pool.submit(os.getppid).result() == nursery_id


def test_a_process_with_threads_is_not_forked() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with Nursery.forked() as nursery, WorkerPool(jobs=1, nursery=nursery) as pool:
            nursery_id = pool.submit(os.getppid).result()
            with open(f"/proc/{nursery_id}/cmdline", encoding="utf-8") as file:
                assert "nursery_process" in file.read()
    finally:
        done.set()
        thread.join()


def test_a_forked_nursery_hands_on_nothing_of_its_parent_but_what_was_imported() -> None:
    body = """
held = open(sys.executable, "rb")
with Nursery.forked() as nursery, WorkerPool(jobs=1, nursery=nursery) as pool:
    worker = pool.submit(os.getpid).result()
    links = [os.readlink(f"/proc/{worker}/fd/{name}") for name in os.listdir(f"/proc/{worker}/fd")]
    print(sys.executable in map(os.path.realpath, links), os.readlink(f"/proc/{worker}/fd/1"))
    print(pool.submit(os.getpgid, 0).result() == worker, open(f"/proc/{worker}/cmdline").read()
          == open("/proc/self/cmdline").read())
"""
    with run_program(body) as program:
        out, _ = program.communicate(timeout=240)
    assert program.returncode == 0
    assert out.split() == ["False", "/dev/null", "True", "True"]


@pytest.mark.parametrize("make", ["Nursery", "Nursery.forked"])
def test_a_worker_in_the_middle_of_a_call_ends_when_its_program_is_killed(make: str) -> None:
    body = f"""
with {make}() as nursery, WorkerPool(jobs=1, nursery=nursery) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit_within(600, time.sleep, 600).result()
"""
    with run_program(body) as program:
        assert program.stdout is not None
        worker = os.pidfd_open(int(program.stdout.readline()))
        program.kill()
    wait_for_end(worker)
