"""A worker pool survives what codecs do to its workers."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest
from mersey.codecs.errors import CodestreamError, MerseyError, ResourceError, UsageError
from mersey.engine.runtime.beacon import mark_frame
from mersey.engine.runtime.worker import WorkerError
from mersey.engine.runtime.worker_pool import WorkerPool

MIB = 1 << 20


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(jobs=2, memory_limit_bytes=256 * MIB, time_limit_s=240) as pool:
        yield pool


def test_calls_return_their_values_in_order_of_submission(pool: WorkerPool) -> None:
    futures = [pool.submit(divmod, number, 7) for number in range(40)]
    assert [future.result() for future in futures] == [divmod(number, 7) for number in range(40)]


def test_calls_run_in_other_processes(pool: WorkerPool) -> None:
    processes = {pool.submit(os.getpid).result() for _ in range(10)}
    assert os.getpid() not in processes
    assert processes <= set(pool.process_ids)


def test_large_arrays_come_back_equal(pool: WorkerPool) -> None:
    array = pool.submit(np.arange, 5_000_000).result()
    assert np.array_equal(array, np.arange(5_000_000))
    again = pool.submit(np.add, array, 1).result()
    assert np.array_equal(again, array + 1)


def test_an_error_keeps_its_fields_across_the_border(pool: WorkerPool) -> None:
    from mersey.codecs.codestream import scan_codestream

    with pytest.raises(CodestreamError) as caught:
        pool.submit(scan_codestream, b"no codestream at all").result()
    assert caught.value.offset_bytes is not None


def test_an_error_of_a_library_arrives_as_one_of_ours_that_names_its_cause(
    pool: WorkerPool,
) -> None:
    with pytest.raises(MerseyError, match=r"ZeroDivisionError: .*by zero"):
        pool.submit(divmod, 1, 0).result()


def test_a_crash_costs_its_call_alone_and_tells_the_frame(pool: WorkerPool) -> None:
    before = pool.submit(mark_frame, 41)
    before.result()
    doomed = pool.submit(ctypes.string_at, 0)
    others = [pool.submit(divmod, number, 3) for number in range(6)]
    with pytest.raises(WorkerError, match="SIGSEGV"):
        doomed.result()
    assert [other.result() for other in others] == [divmod(number, 3) for number in range(6)]


def test_a_call_that_hangs_is_killed_at_its_time_limit(pool: WorkerPool) -> None:
    with pytest.raises(WorkerError, match=r"no answer within 0\.2 s"):
        pool.submit_within(0.2, time.sleep, 600).result()
    assert pool.submit(divmod, 7, 2).result() == (3, 1)


def test_a_call_that_wants_too_much_memory_fails_and_the_worker_goes_on(pool: WorkerPool) -> None:
    with pytest.raises(ResourceError, match=r"memory limit|Unable to allocate"):
        pool.submit(bytes, 1024 * MIB).result()
    assert pool.submit(divmod, 7, 2).result() == (3, 1)


def test_a_worker_killed_from_outside_between_calls_is_replaced(pool: WorkerPool) -> None:
    for process_id in pool.process_ids:
        os.kill(process_id, signal.SIGKILL)
    for _ in range(4):
        try:
            assert pool.submit(divmod, 7, 2).result() == (3, 1)
        except WorkerError:
            continue  # the kill had not been noticed when the call was sent


def test_shutdown_ends_every_process_and_refuses_more_calls() -> None:
    pool = WorkerPool(jobs=2)
    list(pool.map(divmod, [1, 2, 3, 4], [1, 1, 1, 1]))
    processes = pool.process_ids
    assert processes
    pool.shutdown()
    for process_id in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process_id, 0)
    with pytest.raises(UsageError):
        pool.submit(divmod, 1, 1)


def test_cancelled_calls_never_run() -> None:
    with WorkerPool(jobs=1) as pool:
        running = pool.submit(time.sleep, 3)
        waiting = [pool.submit(divmod, 1, 1) for _ in range(20)]
        pool.shutdown(wait=True, cancel_futures=True)
        assert running.done()
        assert any(future.cancelled() for future in waiting)
