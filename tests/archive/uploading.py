"""What the tests of uploads begin, append and expect."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mersey.engine.archive.upload_plan import UploadError, UploadPlan, UploadResult
from mersey.engine.archive.uploads import Uploads

PLAN = UploadPlan("tus", metadata="filename YQ==")
RESULT = UploadResult(200, "application/dicom+json", b'{"a": "\n"}')


class Clock:
    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        import time

        return time.time() + self.ahead_s


def append(uploads: Uploads, name: str, data: bytes, *, complete: bool = False) -> int:
    with uploads.open(name) as upload:
        upload.write(data)
        upload.sync()
        if complete:
            upload.complete()
        return upload.offset_bytes


def faulty(call: Callable[[], object]) -> str:
    with pytest.raises(UploadError) as caught:
        call()
    return caught.value.fault
