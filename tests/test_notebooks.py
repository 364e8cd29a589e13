"""Laws of the notebooks: a pair says the same, nothing is kept that was computed, no figure is typed into prose."""

from __future__ import annotations

import ast
import re

import nbformat
import pytest
from execute import execute, paired, scripts, text

NAMES = ["01_halftime", "02_what_fools_us", "03_priors_and_decay", "04_calibration"]
LEFT_OUT = re.compile(r"`[^`]*`|\]\([^)]*\)")
"""Code and addresses: a number there is no figure."""


@pytest.fixture(params=NAMES)
def script(request):
    return next(path for path in scripts() if path.stem == request.param)


def test_these_are_the_notebooks():
    assert [path.stem for path in scripts()] == NAMES
    assert sorted(path.stem for path in scripts()[0].parent.glob("*.ipynb")) == NAMES


def test_both_halves_of_a_pair_say_the_same_and_no_output_is_kept(script):
    kept = script.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert kept == text(paired(script)), "the halves differ; run `make notebooks`"
    notebook = nbformat.reads(kept, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_no_figure_is_typed_into_prose(script):
    prose = [cell.source for cell in paired(script).cells if cell.cell_type == "markdown"]
    assert len(prose) > 5
    typed = [line for cell in prose for line in LEFT_OUT.sub("", cell).splitlines() if re.search(r"\d", line)]
    assert not typed, "\n".join(typed)


def test_no_figure_is_typed_into_a_sentence_that_a_cell_writes(script):
    """The fixed words of what a cell prints or shows hold no digit; what stands in braces is computed."""
    typed = []
    for cell in (c for c in paired(script).cells if c.cell_type == "code"):
        for call in (node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id in {"Markdown", "print"}:
                computed = {id(n) for f in ast.walk(call) if isinstance(f, ast.FormattedValue) for n in ast.walk(f)}
                fixed = [n.value for n in ast.walk(call) if isinstance(n, ast.Constant) and id(n) not in computed]
                typed += [words for words in fixed if isinstance(words, str) and re.search(r"\d", words)]
    assert not typed, "\n".join(typed)


def test_a_cell_that_fails_or_warns_is_not_passed_over(tmp_path):
    cells = [nbformat.v4.new_code_cell("print('seen')\nimport warnings\nwarnings.warn('beware', stacklevel=1)")]
    with pytest.raises(RuntimeError, match="beware"):
        execute(nbformat.v4.new_notebook(cells=cells), tmp_path)
