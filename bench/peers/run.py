"""Mersey beside its peers, the same work in the same run.

    python bench/peers/run.py [--only WORD …] [--json FILE] [--table FILE] [--plot FILE]

Needs root, for a network of its own, and the peers (`make bench-peers` installs them).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from data import Data
from measure import Row
from namespace import enter_private_network
from rows_files import file_rows
from rows_frames import frame_rows, scaling_rows
from rows_link import link_rows
from rows_studies import query_rows, retrieve_rows, stow_rows
from table import as_json, as_line, as_markdown, plot

_GROUPS: dict[str, Callable[[Data, Path], Iterator[Row]]] = {
    "files": file_rows,
    "frames": frame_rows,
    "retrieve": retrieve_rows,
    "stow": stow_rows,
    "query": query_rows,
    "scaling": scaling_rows,
    "link": link_rows,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", nargs="*", choices=sorted(_GROUPS), default=list(_GROUPS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument(
        "--folder", type=Path, help="keep the files there; a temporary one by default"
    )
    options = parser.parse_args()
    enter_private_network()
    with tempfile.TemporaryDirectory(prefix="mersey-peers-") as temporary:
        data = Data(_made(options.folder or Path(temporary) / "data"))
        rows: list[Row] = []
        for name in options.only:
            work = _made(Path(temporary) / name)
            print(f"{name} …", file=sys.stderr, flush=True)
            found = []
            for row in _GROUPS[name](data, work):
                print(f"  {as_line(row)}", file=sys.stderr, flush=True)
                found.append(row)
            print(as_markdown(found), flush=True)
            rows += found
    if options.json:
        options.json.write_text(json.dumps(as_json(rows), indent=1) + "\n")
    if options.table:
        options.table.write_text(as_markdown(rows) + "\n")
    if options.plot:
        plot(rows, options.plot)
    return 0


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
