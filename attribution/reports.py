"""A report: one answer in every form in which it is handed on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attribution.briefing import Briefing, briefing
from attribution.handover import pack
from attribution.markdown import summary
from attribution.onefile import page
from attribution.pictures import Picture, pictures
from attribution.saved import dump
from attribution.sheets import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attribution.analysis import Analysis

QUESTION = "Did this TV ad actually cause these conversions?"


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """A report of one answer. Each form is made when it is first asked for.

    Attributes
    ----------
    result
        The answer.
    title
        What it is called.
    parts
        What it is made of, in the order of reading: keys of :data:`attribution.sheets.PARTS`.
    posterior
        What ``result.sample_posterior`` returned, where the full posterior was sampled too.
    """

    result: Analysis = field(repr=False)
    title: str
    parts: tuple[str, ...]
    posterior: Any = field(default=None, repr=False)

    @cached_property
    def briefing(self) -> Briefing:
        """The page for the business."""
        return briefing(self.result, posterior=self.posterior)

    @cached_property
    def pictures(self) -> tuple[Picture, ...]:
        """The figures."""
        return pictures(self.result)

    @cached_property
    def html(self) -> str:
        """One HTML file, with its fonts, charts and the script that reads figures off them inside."""
        return page(self.result, self.title, self.parts, self.briefing, self.pictures)

    @cached_property
    def pdf(self) -> bytes:
        """A4 pages: the first for the business, then the annex."""
        from attribution.printed import document  # noqa: PLC0415  reportlab is loaded when something is printed

        return document(self.result, self.title, self.parts, self.briefing, self.pictures)

    @cached_property
    def markdown(self) -> str:
        """A summary for a message or a wiki."""
        return summary(self.result, self.title, self.parts, self.briefing)

    @cached_property
    def json(self) -> str:
        """The answer with its data, which :func:`attribution.load` reads back; it does not depend on the parts."""
        return dump(self.result)

    @cached_property
    def zip(self) -> bytes:
        """Everything: tables as CSV with a data dictionary, figures, the answer, a notebook that reproduces it."""
        return pack(self.result, self.title, self.pictures, self.markdown)

    def save(self, path: str | Path) -> Path:
        """Write the report to a file, in the form that its ending names, and return its path.

        Parameters
        ----------
        path
            Ends in .html, .pdf, .md, .json or .zip.

        Raises
        ------
        ValueError
            When it has another ending.
        """
        target = Path(path)
        made = self.made(target.suffix.lower())
        target.write_bytes(made if isinstance(made, bytes) else made.encode("utf-8"))
        return target

    def made(self, ending: str) -> str | bytes:
        """Return the report in the form that an ending names, as in :meth:`save`."""
        forms: dict[str, Callable[[], str | bytes]] = {
            ".html": lambda: self.html,
            ".pdf": lambda: self.pdf,
            ".md": lambda: self.markdown,
            ".json": lambda: self.json,
            ".zip": lambda: self.zip,
        }
        if ending not in forms:
            raise ValueError(
                f"a report is saved as {', '.join(forms)}, not as {ending or 'a file without an ending'!r}"
            )
        return forms[ending]()

    def _repr_html_(self) -> str:
        """Show the document inside a notebook, in a frame of its own so that the styles do not mix."""
        return f'<iframe srcdoc="{escape(self.html)}" width="100%" height="900" style="border:0"></iframe>'


def report(
    result: Analysis, *, title: str = QUESTION, parts: Sequence[str] = tuple(PARTS), posterior: Any = None
) -> Report:
    """Make the report of an analysis: a page for the business, then a diagnostic annex.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned, or :func:`attribution.load` read back.
    title
        The heading. Like every text that comes from a file or a feed, it is escaped.
    parts
        What the report is made of: ``business``, ``velocity``, ``evidence``, ``airings``, ``details``, ``findings``,
        ``settings``. All of them by default; the verdict and where the answer comes from are always there.
    posterior
        What ``result.sample_posterior`` returned: the page for the business then says what it has.

    Returns
    -------
    Report
        ``save("answer.html")`` writes it; .pdf, .md, .json and .zip too.

    Raises
    ------
    ValueError
        When a part is unknown.

    Examples
    --------
    >>> import attribution as at
    >>> world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    >>> short = report(at.analyze(world.counts, world.airings, at.Settings.preset("brief")), parts=["business"])
    >>> short.parts, short.markdown.splitlines()[0]
    (('business',), '# Did this TV ad actually cause these conversions?')
    """
    unknown = [name for name in parts if name not in PARTS]
    if unknown:
        raise ValueError(f"parts has {unknown[0]!r}; choose from {', '.join(PARTS)}")
    return Report(result=result, title=title, parts=tuple(n for n in PARTS if n in parts), posterior=posterior)
