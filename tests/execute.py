"""Pair every notebook with its script, and execute them all: `make notebooks`.

The script (jupytext's percent format) is what is read and reviewed; the notebook beside it says the same cell by cell
and holds no outputs: what a notebook shows is computed where it is opened.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
PROMISED_S = 60.0
"""What a notebook may take; a slower one is said to be, and does not fail: machines differ."""
CELL_S = 600
"""A cell that takes longer hangs."""


def scripts() -> list[Path]:
    """The scripts of all notebooks, in their order."""
    return sorted(FOLDER.glob("*.py"))


def paired(script: Path) -> NotebookNode:
    """The notebook of a script: a cell's id comes from its place and text, so the same script makes the same file."""
    notebook = jupytext.read(script)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = hashlib.sha256(f"{number}{cell.source}".encode()).hexdigest()[:8]
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata.pop("jupytext")
    return notebook


def text(notebook: NotebookNode) -> str:
    """A notebook as its file has it."""
    return nbformat.writes(notebook) + "\n"


def execute(notebook: NotebookNode, folder: Path) -> str:
    """Run a notebook in a folder, with this very package; what its cells printed.

    An error of a cell, and a warning that reaches the reader, are raised as they are.
    """
    client = NotebookClient(notebook, timeout=CELL_S, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT)})
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    printed = [out for out in outputs if out.output_type == "stream"]
    news = r"\w+Warning\b(?!:\s*ArviZ is undergoing)"  # that one comes once a day
    warned = "".join(out.text for out in printed if out.name == "stderr" and re.search(news, out.text))
    if warned:
        raise RuntimeError(f"a cell warns:\n{warned}")
    return "".join(out.text for out in printed if out.name == "stdout")


def main(names: list[str]) -> int:
    """Write every pair anew; execute the named notebooks, or all, and say how long each took. No output is kept."""
    failed = []
    for script in scripts():
        script.with_suffix(".ipynb").write_text(text(paired(script)), encoding="utf-8")
        if names and not any(name in script.stem for name in names):
            continue
        begun = time.perf_counter()
        try:
            execute(paired(script), FOLDER)
        except (CellExecutionError, RuntimeError) as error:
            print(f"{script.stem}: {error}", flush=True)
            failed.append(script.stem)
        took = time.perf_counter() - begun
        late = f", more than the {PROMISED_S:.0f} s it may take" if took > PROMISED_S else ""
        print(f"{script.stem}: {'FAILED after' if script.stem in failed else 'ran in'} {took:.0f} s{late}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
