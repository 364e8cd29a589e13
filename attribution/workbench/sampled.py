"""The kept checks of the full posterior as HTML: beside the fast fit, and against truths drawn from its own prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribution.figures import html_table
from attribution.workbench.kept import foot, named
from attribution.workbench.promises import number, percent

if TYPE_CHECKING:
    import pandas as pd

APART, LEAST_RATIO, MOST_RATIO = 0.25, 0.90, 1.10
"""What is promised of the fast fit: the median distance of the means, in sds, and the median ratio of the sds."""

REJECTED = 0.01
"""A chi-square of the ranks below this p says that prior, likelihood and sampler do not belong together."""


def agreement_html(table: pd.DataFrame) -> str:
    """Write how far fast fit and full posterior lie apart, a kind of world a row and all of them first.

    Parameters
    ----------
    table
        As `make calibrate-posterior` keeps it, a row a world: difference (of the means, in sds of the fast fit), ratio
        (of the sds), optimal, longer, divergences, seconds.
    """
    heads = ("Worlds", "Means apart, median", "Ratio of sds, median", "Optimal", "Sampled longer", "Seconds, median")
    parts = [("all of them", table), *((str(name), part) for name, part in table.groupby("world", sort=False))]
    rows = []
    for name, part in parts:
        away, ratio = float(part["difference"].abs().median()), float(part["ratio"].median())
        rows.append(
            (
                named(name.replace("_", " "), f"{len(part)} world{'s' * (len(part) != 1)}"),
                _marked(f"{number(away, '.2f')} sd", away > APART),
                _marked(number(ratio, ".2f"), not LEAST_RATIO <= ratio <= MOST_RATIO),
                *(percent(float(part["optimal"].mean())), percent(float(part["longer"].mean()))),
                number(float(part["seconds"].median()), ".0f"),
            )
        )
    said = f"Promised: means at most {APART} sd apart, sds within {LEAST_RATIO:.2f} and {MOST_RATIO:.2f} of each other."
    return html_table(heads, rows) + f'<p class="label">{said}</p>' + foot(table)


def ranks_html(table: pd.DataFrame) -> str:
    """Write the simulation-based calibration: a quantity a row; with an error planted, the test must reject.

    Parameters
    ----------
    table
        As `make calibrate-posterior` keeps it: plant (empty, or what was planted), quantity, replicates, p of the
        chi-square, gap and band of the ranks' distribution.
    """
    rows = []
    for row in table.to_dict("records"):
        planted, rejected = bool(row["plant"]), row["p"] < REJECTED or row["gap"] > row["band"]
        state = ("caught" if rejected else "not moved") if planted else ("▲ rejected" if rejected else "uniform")
        rows.append(
            (
                named(
                    row["quantity"],
                    f"{row['replicates']} replicates",
                    f"an error planted: {row['plant']}" if planted else "",
                ),
                number(row["p"], ".2g"),
                f"{number(row['gap'], '.3f')} of {number(row['band'], '.3f')}",
                _marked(state, rejected and not planted),
            )
        )
    return html_table(("Quantity", "Chi-square p", "Largest gap, of its 95% band", "Ranks"), rows) + foot(table)


def _marked(words: str, bad: bool) -> str:
    """Mark what breaks its promise."""
    return f'<b class="bad">{words}</b>' if bad else words
