"""The command line's front door: which commands there are, and how errors end them.

Imports nothing heavy: a command imports what it needs when it runs. Exit codes: 0 done, 1 an
error (one line on stderr), 2 wrong usage (so is a UsageError), 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ...codecs.errors import MerseyError, UsageError
from . import (
    bench,
    codecs,
    codestream,
    extract,
    import_,
    inspect,
    pull,
    push,
    serve,
    store,
    transcode,
)
from .terminal import print_error

__all__ = ["app", "main"]


class _FrontDoor(TyperGroup):
    """Turns errors into one line and an exit code, for every command."""

    def invoke(self, ctx: Any) -> Any:
        try:
            value = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output has seen enough; the interpreter's last flush must not fail.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except (MerseyError, OSError) as error:
            if ctx.params["debug"]:
                raise
            print_error(error)
            raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
        return value


app = typer.Typer(
    cls=_FrontDoor,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help takes half the time
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"mersey {version('mersey')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="MERSEY_DEBUG", help="Show tracebacks of errors."),
    ] = False,
) -> None:
    """Move and transcode medical images."""


app.command("transcode", short_help="Transcode files and folders, resumably.")(transcode.command)
app.command("serve", short_help="Serve folders of DICOM files as DICOMweb.")(serve.command)
app.command("import", short_help="Take files and folders into the store.")(import_.command)
app.command("pull", short_help="Pull a study from a server, resumably.")(pull.command)
app.command("push", short_help="Push files and folders to an archive, resumably.")(push.command)
app.command("inspect")(inspect.command)
app.command("extract")(extract.command)
app.command("codecs")(codecs.command)
app.add_typer(store.group, name="store")
app.add_typer(codestream.group, name="codestream")
app.add_typer(bench.group, name="bench")


def main() -> None:
    """Run the command line; ends the process."""
    # Nothing here multiplies matrices, and a process of one thread can fork its workers.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    app(prog_name="mersey")
