"""A network of this process's own: only loopback, and only what it starts.

Orthanc of Debian 12 listens on every address and cannot be told otherwise, so servers and
clients of the comparison run where nobody else can reach them. Needs root and Linux.
"""

from __future__ import annotations

import os
import subprocess

__all__ = ["enter_private_network"]


def enter_private_network() -> None:
    """Move this process, and all it starts from now on, into a network that has only loopback.

    Raises
    ------
    PermissionError
        Not root.
    """
    os.unshare(os.CLONE_NEWNET)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
