# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From a file to a verdict
#
# An ad runs in a halftime break, and conversions rise. That alone says little: at halftime people pick up their phones
# whether or not anybody advertises, and shortly afterwards the whole internet talks about the game. The question is
# what would have happened *without* the ad.
#
# This notebook goes the whole way once, from files to an answer that can be handed on. The event is simulated for one
# reason only: at the end we may open the envelope and see how far off the answer was.

# %%
import tempfile
from pathlib import Path

import altair as alt
import pandas as pd
from IPython.display import Markdown, display

import attribution as at
from attribution.verdict import RUNGS
from attribution.worlds import write_world

alt.renderers.enable("svg")  # charts are drawn on this machine; nothing is fetched

# %% [markdown]
# ## What an analyst gets
#
# Conversions one by one, a log of what went on air and where, posts on social media, viewers, and the breaks that
# somebody wrote down. These are ordinary files; yours may have other names, zones and columns.

# %%
folder = Path(tempfile.mkdtemp())
world = at.simulate(at.SCENARIOS["halftime"], rng=7)
write_world(world, folder)
pd.DataFrame(
    [(path.name, path.stat().st_size / 1024) for path in sorted(folder.iterdir()) if path.suffix != ".json"],
    columns=["file", "kB"],
).style.format({"kB": "{:,.0f}"}).hide(axis="index")

# %%
counts = at.read_events(folder / "events.parquet")
airings = at.read_airings(folder / "airings.csv")
feeds = {
    "social": at.read_social(folder / "social.csv"),
    "audience": at.read_audience(folder / "audience.csv"),
    "context": at.read_context(folder / "context.csv"),
}
seen = set(airings["regions"].iloc[0].split("|"))
spared = [region for region in counts.regions if region not in seen]
Markdown(
    f"{counts.total.sum():,.0f} conversions in {len(counts.start):,} bins of {counts.width[0]:g} s; "
    f"{len(counts.regions)} regions, of which **{', '.join(spared)}** did not see the ad. That region is what makes a "
    "strong answer possible: it lived through the same break and the same game."
)

# %%
airings.T

# %% [markdown]
# ## Before any model
#
# Most wrong answers are made here, by a clock, a zone or a hole in a feed. Preflight names what would harm the answer
# and how to mend it. Silence is good news.

# %%
found = at.preflight(counts, airings, context=feeds["context"])
pd.DataFrame(found, columns=["level", "what", "rows", "harm", "mend"]) if found else Markdown("Nothing found.")

# %% [markdown]
# ## The answer
#
# One call. The window is a choice of ours: conversions are summed in it, and nothing outside of it is credited.

# %%
settings = at.Settings(window="60s")
result = at.analyze(counts, airings, settings, **feeds)
print(result.verdict)

# %% [markdown]
# The solid line is what was counted where the ad ran. The dashed one is what the model expects there without the ad,
# with its band. Yellow is the difference that is credited to the ad; note how much of the rise is *not* yellow.

# %%
at.charts.velocity(result)

# %% [markdown]
# ## What else moved
#
# A rise has several parents. Inside the window the model splits the count into what would have come anyway, and what
# the ad added. A method that compares with the minutes before would have booked all of it.

# %%
row = result.table.iloc[0]
start, end = row["start"], row["start"] + pd.Timedelta(settings.window)
inside = result.total[(result.total["time"] >= start) & (result.total["time"] < end)]
parts = inside[["observed", "organic", "break"]].sum()
ordinary = row["counterfactual"] - parts["organic"] - parts["break"]
split = {
    "an ordinary minute": ordinary,
    "the break itself": parts["break"],
    "the organic surge": parts["organic"],
    "the ad": row["incremental"],
    "chance, left unexplained": parts["observed"] - row["counterfactual"] - row["incremental"],
}
rise = parts["observed"] - ordinary
display(pd.Series(split, name="conversions").to_frame().style.format("{:,.0f}"))
Markdown(
    f"Counted: {parts['observed']:,.0f}, which is {rise:,.0f} more than an ordinary minute. The ad explains "
    f"**{row['incremental'] / rise:.0%}** of that rise; a comparison with the minutes before credits it with all of it."
)

# %% [markdown]
# ## Evidence that survives watching
#
# This path was looked at again and again while the event ran, and it may be: an e-value is built so that looking does
# not make it wrong. A claim needs two looks in a row above the line, or one far above it, under the least favourable
# explanation without an ad that the model knows. The thin line is the fast filter, which fits nothing.

# %%
at.charts.evidence(result)

# %% [markdown]
# The amount so far is given an interval that holds at all looks at once. It is wider than one for a single look, and
# that is the price of having peeked.

# %%
at.charts.amount(result)

# %% [markdown]
# ## When people answered
#
# The lag between seeing the ad and converting was not assumed to be known: several families of curves were averaged by
# how well they explain the counts.

# %%
at.charts.response(result)

# %% [markdown]
# ## What it earned
#
# Two figures that are often confused. iROAS is incremental revenue over spend; ROI asks whether, after the cost of what
# was sold, anything is left. Both carry the uncertainty of the incremental through every draw.

# %%
result.money[["what", "value", "lower", "upper"]].style.format("{:,.2f}", subset=["value", "lower", "upper"])

# %% [markdown]
# ## Where it came from
#
# Shares are of the *incremental*, not of everything that was counted in the window. The raw mix stands beside them to
# show how far the two are apart: the channels that were busy anyway would take the credit.

# %%
shares = result.shares[result.shares["dimension"] == "channel"]
shares[["category", "share", "lower", "upper", "raw"]].style.format("{:.1%}", subset=["share", "lower", "upper", "raw"])

# %% [markdown]
# ## The envelope
#
# The simulator knows what the ad truly added. An interval that holds the truth once proves little; how often it does is
# the subject of `04_calibration`.

# %%
truth = world.truth.incremental(row["airing"], pd.Timedelta(settings.window).total_seconds())
covered = row["incremental_lower"] <= truth <= row["incremental_upper"]
Markdown(
    f"True incremental: **{truth:,.0f}**. Answered: {row['incremental']:,.0f} ({row['incremental_lower']:,.0f} to "
    f"{row['incremental_upper']:,.0f} at {1 - result.alpha:.0%}), an error of {row['incremental'] / truth - 1:+.0%}; "
    f"the interval {'holds' if covered else 'misses'} the truth. The answer stands on rung {row['rung']:.0f} of "
    f"{max(RUNGS)}: {RUNGS[row['rung']]}."
)

# %% [markdown]
# ## Handing it on
#
# The report is one file that opens offline. The zip is for whoever doubts it: the data, and a notebook that computes
# every figure anew and stops if one differs.

# %%
report = at.report(result).save(folder / "halftime.html")
parcel = at.report(result).save(folder / "halftime.zip")
Markdown(
    f"Written: `{report.name}` ({report.stat().st_size / 1024:,.0f} kB) and `{parcel.name}` "
    f"({parcel.stat().st_size / 1024:,.0f} kB), both of the answer with the fingerprint `{result.fingerprint}`."
)
