"""``mersey bench``: how fast things go with the user's own files, server and link."""

from __future__ import annotations

import typer

from . import bench_codec, bench_link, bench_serve, bench_transcode

__all__ = ["group"]

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@group.callback()
def _group() -> None:
    """Measure codecs, transcoding, a server, a link: on your own files, no others.

    Every command asserts first that the result is right, is bounded in time, and gives on
    Ctrl-C what there is by then. MB are 1,000,000 bytes.
    """


group.command("codec", short_help="Every codec on the frames of files.")(bench_codec.command)
group.command("transcode", short_help="Files and folders into another syntax.")(
    bench_transcode.command
)
group.command("serve", short_help="Load on a DICOMweb server.")(bench_serve.command)
group.command("link", short_help="A series over a slow link.")(bench_link.command)
