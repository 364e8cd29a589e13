"""The public names, and what importing them costs."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import attribution as at

NAMES = [
    *("SCENARIOS", "Analysis", "Counts", "EventBatch", "Files", "Finding", "Kernel", "ReadError", "Report", "Scenario"),
    *("Settings", "Truth", "Verdict", "World", "analyze", "charts", "load", "preflight", "read_airings"),
    *("read_audience", "read_context", "read_counts", "read_events", "read_exposures", "read_files", "read_scte35"),
    *("read_social", "report", "simulate"),
]


def fresh(code: str) -> str:
    """What a new interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_the_public_names_are_these():
    assert at.__all__ == NAMES
    assert dir(at) == sorted([*NAMES, "__version__"])


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_says_what_it_is(name):
    thing = getattr(at, name)
    if callable(thing):
        assert len(inspect.getdoc(thing) or "") > 20
    if inspect.isfunction(thing) or inspect.isclass(thing):
        assert thing.__name__ == name


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(AttributeError, match=r"no name 'analyse'.*analyze"):
        _ = at.analyse  # pyright: ignore[reportAttributeAccessIssue]


def test_importing_costs_little_beside_pandas():
    code = (
        "import time, pandas; begun = time.process_time(); import attribution; print(time.process_time() - begun); "
        "import sys; print(*sorted({'pymc', 'nutpie', 'streamlit', 'altair', 'numba'} & set(sys.modules)))"
    )
    cpu, _, loaded = fresh(code).partition("\n")
    assert float(cpu) < 0.6
    assert loaded == ""


def test_no_public_name_needs_pymc_or_streamlit():
    code = (
        "import sys, attribution as at; [getattr(at, name) for name in at.__all__]; "
        "print(*sorted({'pymc', 'nutpie', 'streamlit'} & set(sys.modules)))"
    )
    assert fresh(code) == ""


def test_a_public_function_never_has_the_name_of_a_module():
    code = (
        "import importlib, pathlib, attribution as at\n"
        "here = pathlib.Path(at.__file__).parent\n"
        "modules = {path.stem for path in here.iterdir() if path.suffix == '.py' or path.is_dir()} - {'charts'}\n"
        "print(*sorted(modules & set(at.__all__)))"
    )
    assert fresh(code) == ""
