"""Figures that suites have to show, for whoever gathers them in a table.

It must not know what they mean.
"""

import json
import os
import pathlib


def show(suite: str, *rows: tuple[str, str]) -> None:
    """Writes what a suite has to show into the folder that $TACHOGRAPH_FIGURES names; nowhere if it is not set."""
    if folder := os.environ.get("TACHOGRAPH_FIGURES"):
        pathlib.Path(folder, f"{suite}.json").write_text(json.dumps({"suite": suite, "rows": rows}) + "\n")
