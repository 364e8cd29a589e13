"""What is wrong is said with its rows, its harm and its mend; what is right is not complained about."""

import numpy as np
import pandas as pd

from attribution.checks import preflight
from attribution.counts import Counts
from attribution.layouts import normalise

START = pd.Timestamp("2026-02-08T20:00:07Z")


def feed(seconds=3600, rate=5.0, regions=("north", "south"), seed=7, width=1):
    values = np.random.default_rng(seed).poisson(rate * width, (seconds // width, len(regions))).astype(float)
    start = (
        START.tz_localize(None).as_unit("ns").to_datetime64() + np.arange(seconds // width) * np.timedelta64(width, "s")
    ).astype("datetime64[ns]")
    return Counts(
        start=start,
        width=np.full(len(start), float(width)),
        values=values[:, :, None, None],
        regions=regions,
        completeness=np.ones(values.shape),
    )


def log(*offsets, regions="north"):
    return normalise(
        pd.DataFrame(
            {
                "airing": [f"a{i}" for i in range(len(offsets))],
                "regions": regions,
                "start": [START + pd.Timedelta(seconds=o) for o in offsets],
            }
        )
    )


def whats(counts, airings, **more):
    return [f"{f.level}: {f.what}" for f in preflight(counts, airings, **more)]


def test_clean_data_pass_without_a_word():
    assert whats(feed(), log(1805, 2600)) == []


def test_every_finding_says_where_what_harm_and_mend():
    counts = feed()
    counts.values[1850:1900, 0] = np.nan
    for finding in preflight(counts, log(100, 1800, 1810, 9000, regions="")):
        assert all(finding[:5]), finding


def test_a_feed_without_numbers_is_told_to_be_of_unknown_completeness():
    counts = feed()
    counts.completeness[5:, 1] = np.nan
    told = preflight(counts, log(1805, 2600))
    assert [tuple(f[:3]) for f in told] == [("note", "completeness unknown", "1 region: south")]
    counts.values[5:, 1] = np.nan  # what is not counted is not claimed to be complete either
    assert "note: completeness unknown" not in whats(counts, log(1805, 2600))


def test_outside_and_by_how_many_hours():
    found = preflight(feed(), log(1800 - 5 * 3600, 2600 - 5 * 3600))
    assert found[0].level == "error"
    assert "2 airings outside" in found[0].what
    assert "5 h later" in found[0].mend


def test_gaps_outages_and_ends():
    counts = feed()
    counts.values[1850:1900, 0] = np.nan
    counts.values[2650:2700] = 0
    found = " ".join(whats(counts, log(1805, 2600, 3500)))
    assert "gaps within 300 s after 1 airing" in found
    assert "an outage within 300 s after 1 airing" in found
    assert "the data end within 300 s after 1 airing" in found


def test_history_overlaps_twins():
    found = " ".join(whats(feed(), log(61, 1805, 1885, 1885)))
    assert "too little history before 1 airing" in found
    assert "2 pairs of airings with overlapping" in found
    assert "2 airings with the same name, or the same start" in found


def test_regions_and_controls():
    assert "error: 1 region of the airings not in the counts" in whats(feed(), log(1805, regions="north|nord"))
    assert any("no controls" in w for w in whats(feed(), log(1805, regions="")))
    assert any("no controls" in w for w in whats(feed(), log(1805, regions="north|south")))


def test_wide_bins_and_low_counts():
    assert any("wide beside a spot" in w for w in whats(feed(seconds=86400, width=300), log(43200)))
    assert any("low counts" in w for w in whats(feed(rate=0.001), log(1805)))


def test_clocks():
    minute = log(60 * 20 - 7, 60 * 40 - 7)
    assert any("whole minute" in w for w in whats(feed(), minute))
    counts = feed()
    for offset in (1805, 2900):
        counts.values[offset - 60 : offset] *= 4
    assert any("rise in the 120 s before" in w for w in whats(counts, log(1805, 2900)))


def test_breaks_and_organic_moments():
    context = normalise(
        pd.DataFrame(
            {
                "kind": ["break", "organic"],
                "start": [START + pd.Timedelta(seconds=s) for s in (1790, 2590)],
                "end": [START + pd.Timedelta(seconds=s) for s in (1900, 2700)],
            }
        ),
        "context",
    )
    found = whats(feed(), log(1805, 2600), context=context)
    assert "note: 1 airing in a declared break" in found
    assert "warning: 1 airing in a declared organic moment" in found


def test_no_airings():
    assert whats(feed(), log(1805).iloc[:0]) == ["error: no airings"]
