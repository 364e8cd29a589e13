"""A finding's one mend as something to press: the argument it names, and its value where the finding knows it.

Errors and findings write their remedy the way it is typed: ``give tz=``, ``clock_offset="42s"``,
``columns={'start': ...}``. What is read here is that text, so that a page and a notebook are told the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from attribution.tables import Finding

ARGUMENTS = ("tz", "broadcast_day_start", "frame_rate", "clock_offset", "kind", "width", "stream_start")
"""Arguments of :func:`attribution.files.read_files` that mend something."""
GIVEN = re.compile(r"\b(" + "|".join(ARGUMENTS) + r")=(?:\"([^\"]*)\"|'([^']*)'|(-?[\d.]+\d))")
ASKED = re.compile(r"\b(" + "|".join(ARGUMENTS) + r")=(?![\"'\d])")
COLUMN = re.compile(r"columns=\{'(\w+)': \.\.\.\}")


class Mend(NamedTuple):
    """What to set, and to what."""

    argument: str
    """One of :data:`ARGUMENTS`, or ``columns``."""
    value: Any
    """What to set it to; None where the analyst has to say."""
    role: str = ""
    """The role that a column is wanted for."""


def mend_of(text: str) -> Mend | None:
    r"""Read the mend that a sentence names; None where it names none that can be set.

    Examples
    --------
    >>> mend_of('clock_offset="42s" moves the airings')
    Mend(argument='clock_offset', value='42s', role='')
    >>> mend_of("the times carry no zone; give tz=, e.g. tz=\"America/New_York\"").value is None
    True
    """
    asked = ASKED.search(text)
    if asked is not None:
        return Mend(asked[1], None)
    column = COLUMN.search(text)
    if column is not None:
        return Mend("columns", None, column[1])
    given = GIVEN.search(text)
    if given is None or f"{given[1]}={given[0].split('=', 1)[1]} was not needed" in text:
        return None
    value = given[2] if given[2] is not None else given[3] if given[3] is not None else float(given[4])
    return Mend(given[1], value)


def mendable(findings: tuple[Finding, ...]) -> list[tuple[Finding, Mend]]:
    """List what a press can mend: warnings and errors whose mend is known to the last letter.

    Examples
    --------
    >>> from attribution.tables import Finding
    >>> late = Finding("warning", "clocks differ", "", "", 'clock_offset="42s" moves the airings')
    >>> [mend.value for _, mend in mendable((late,))]
    ['42s']
    """
    found = [(finding, mend_of(finding.mend)) for finding in findings if finding.level != "note"]
    return [(finding, mend) for finding, mend in found if mend is not None and mend.value is not None]
