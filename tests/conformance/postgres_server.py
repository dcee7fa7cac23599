"""A real PostgreSQL for tests, from Debian's package: on loopback, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from ports import free_port

__all__ = ["PostgresServer", "postgres_programs"]

_START_S = 180


def postgres_programs() -> Path | None:
    """The folder with initdb and pg_ctl: Debian keeps them out of the PATH; None if absent."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name.zfill(3)
    )
    on_path = shutil.which("pg_ctl")
    if on_path is not None:
        found.append(Path(on_path).resolve().parent)
    return next((path for path in reversed(found) if (path / "initdb").is_file()), None)


class PostgresServer:
    """One cluster with a database a name; `start` and `stop` as often as is needed."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        # Under a short path that another user may enter: a socket's has 107 bytes at most.
        self._home = Path(tempfile.mkdtemp(prefix="mersey-pg-"))
        self._data = self._home / "data"
        self.port = free_port()
        self._user = _other_user() if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self._home, self._user.pw_uid, self._user.pw_gid)
        self._call("initdb", "--username=mersey", "--auth=trust", "--encoding=UTF8", "--no-sync")

    def start(self) -> None:
        options = (
            f"-h 127.0.0.1 -p {self.port} -k {self._home}"
            " -c max_connections=200 -c shared_buffers=32MB -c fsync=off"
        )
        self._call(
            "pg_ctl", "start", "-w", "-t", str(_START_S), "-l", f"{self._home}/log", "-o", options
        )

    def stop(self, *, mode: str = "fast") -> None:
        """Stop it; ``immediate`` is as a crash."""
        self._call("pg_ctl", "stop", "-w", "-t", str(_START_S), "-m", mode)

    def remove(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)

    def make_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        import psycopg

        address = f"postgresql://mersey@127.0.0.1:{self.port}"
        with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"{address}/{name}"

    def _call(self, program: str, *arguments: str) -> None:
        user = self._user
        command = [str(self._programs / program), "-D", str(self._data), *arguments]
        done = subprocess.run(
            command,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a server would hold a pipe open
            stderr=subprocess.DEVNULL,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
            timeout=2 * _START_S,
            check=False,
        )
        if done.returncode:
            log = self._home / "log"
            told = log.read_text(errors="replace")[-2000:] if log.is_file() else ""
            raise RuntimeError(f"{program} failed with {done.returncode}: {told}")


def _other_user() -> pwd.struct_passwd:
    """PostgreSQL does not run as root."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("no user to run PostgreSQL as")
