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
# # How we know
#
# An interval that should hold the truth so often either does or does not. A claim without an ad behind it is wrong.
# Both can be counted where the truth is known, and were: goals were written down first, then many events were
# simulated, and what came out is kept in `data/calibration`, whether it flatters or not.
#
# Nothing below is remembered by the text. It is read from the files, or computed anew while you watch.

# %%
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from scipy.stats import beta, binom

import attribution as at
from attribution import theme
from attribution.model.brief import brief_incremental
from attribution.trials import trial
from attribution.verdict import CLAIMS

alt.renderers.enable("svg")  # charts are drawn on this machine; nothing is fetched
ink = theme.palette("light")
KEPT = Path(at.__file__).parents[1] / "data" / "calibration"
NOMINAL, PROMISED_FALSE = 0.95, 0.05
goals, worlds, blind = (
    pd.read_csv(KEPT / f"{name}.csv", keep_default_na=False, na_values=[""])  # a world is called null
    for name in ("goals", "worlds", "blind")
)

# %% [markdown]
# ## What was promised, and what became of it
#
# A goal is *not met* when a binomial test (or a bootstrap) rejects it. It is *met* only with enough events to say so;
# with fewer it stays *open*, however good it looks. *Not measured* means just that.

# %%
STATES = {"yes": "met", "no": "not met", "open": "open", "not measured": "not measured"}
tally = goals["met"].map(STATES).value_counts().reindex(STATES.values(), fill_value=0)
Markdown(
    f"Of {len(goals)} goals: " + ", ".join(f"**{n} {state}**" for state, n in tally.items())
    + f". Seeds {', '.join(goals['seeds'].unique())}, version {', '.join(goals['version'].unique())}, "
    f"{', '.join(goals['date'].unique())}."
)  # fmt: skip

# %% [markdown]
# Those that fell short come first: a reader looks for them anyway.

# %%
order = {"no": 0, "open": 1, "not measured": 2, "yes": 3}
shown = goals.assign(met=goals["met"].map(STATES))[["met", "figure", "where", "goal", "measured", "n"]]
ranked = shown.iloc[goals["met"].map(order).argsort(kind="stable")].style
ranked.format({"measured": "{:.3g}"}, na_rep="—", escape="html").hide(axis="index")

# %% [markdown]
# ## Do the intervals hold the truth?
#
# Each point is the share of events in which the interval held the truth; the bar is what that many events can tell
# apart (an exact binomial interval), and the dashed rule is what was promised. A bar that lies left of the rule is a
# world in which intervals are too narrow. A bar that crosses it *might* keep the promise, which is a weaker thing.


# %%
def bounds(hits, n, level=0.95):
    """Exact binomial interval of a share (Clopper and Pearson)."""
    tail = (1 - level) / 2
    low = beta.ppf(tail, hits, n - hits + 1) if hits else 0.0
    return low, beta.ppf(1 - tail, hits + 1, n - hits) if hits < n else 1.0


own = worlds[worlds["coverage"].notna()].copy()
own["hits"] = (own["coverage"] * own["n"]).round()
own[["low", "high"]] = [bounds(k, n) for k, n in zip(own["hits"], own["n"], strict=True)]
own["name"] = own["world"].str.replace("_", " ") + ", " + own["settings"]
y = alt.Y("name:N", sort=alt.EncodingSortField("coverage"), title=None, axis=alt.Axis(labelLimit=320))
x = alt.Scale(domain=[float(own["low"].min()), 1.0], nice=False)
alt.layer(
    alt.Chart(pd.DataFrame({"nominal": [NOMINAL]})).mark_rule(strokeDash=[5, 3], color=ink.counterfactual).encode(
        x=alt.X("nominal:Q", scale=x)
    ),
    alt.Chart(own).mark_rule(strokeWidth=2, color=ink.muted).encode(
        y=y, x=alt.X("low:Q", scale=x, title="share of intervals that hold the truth", axis=alt.Axis(format=".0%")),
        x2="high:Q",
    ),
    alt.Chart(own).mark_point(filled=True, opacity=1, size=50, color=ink.observed).encode(y=y, x="coverage:Q"),
).properties(width=460, height=alt.Step(18)).configure(**theme.chart_config("light"))  # fmt: skip

# %%
together = bounds(own["hits"].sum(), own["n"].sum())
short = own[own["high"] < NOMINAL]
Markdown(
    f"All worlds together: {own['hits'].sum() / own['n'].sum():.1%} of {own['n'].sum():,} intervals hold the truth "
    f"({together[0]:.1%} to {together[1]:.1%}), where {NOMINAL:.0%} was promised. "
    + (
        f"Worlds whose bar lies wholly below it: {', '.join(short['name'])}."
        if len(short)
        else "No single world's bar lies wholly below it; together they may still."
    )
)

# %% [markdown]
# ## Is anything claimed where there is nothing?
#
# The worlds without any effect, each with a trap. *Watched* counts an event as soon as any look claimed something.

# %%
null = worlds[(worlds["truth"] == 0) & worlds["caused"].notna()]
table = null[["world", "settings", "n", "claimed", "claimed_watched"]].copy()
false = (null["claimed"] * null["n"]).round()
table["could be up to"] = [bounds(k, n, level=0.90)[1] for k, n in zip(false, null["n"], strict=True)]
table.style.format(dict.fromkeys(["claimed", "claimed_watched", "could be up to"], "{:.0%}")).hide(axis="index")

# %% [markdown]
# Among these rows are methods that *must* fail, the brief's engine and a plug-in e-value: a set of worlds in which they
# passed would be a set of worlds that finds nothing. And a row of zeros is not zero: the last column says what so few
# events cannot rule out.
#
# ## Where the intervals are narrow
#
# In the blind family everything is drawn: noise, surge, lag, regions. It is cut by one nuisance at a time, to find the
# corner in which the model is worst.

# %%
cuts = blind[blind["nuisance"] != "all"].copy()
cuts["hits"] = (cuts["coverage"] * cuts["n"]).round()
cuts["chance"] = binom.cdf(cuts["hits"], cuts["n"], NOMINAL)
display(
    cuts.nsmallest(6, "chance")[["nuisance", "range", "n", "coverage", "chance"]]
    .style.format({"coverage": "{:.0%}", "chance": "{:.3f}"})
    .hide(axis="index")
)
Markdown(
    f"`chance` is how often so few would be covered if the promise held. Of {len(cuts)} corners that had nothing in "
    f"common, the worst would stand near {1 / len(cuts):.3f} by luck alone; here it stands at "
    f"{cuts['chance'].min():.3f}. (They share their events, so a bad one drags others along.)"
)

# %% [markdown]
# ## Now, while you watch
#
# Files can be believed or not. So here are fresh events that no calibration has used. In each a surge comes that would
# have come anyway, and the ad adds nothing. The brief's engine answers beside ours: a trial that nobody can fail shows
# nothing.

# %%
SEEDS = range(21, 29)
SETTINGS = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")
rows = []
for seed in SEEDS:
    world = trial("shared_surge_null", seed)
    result = at.analyze(world.counts, world.airings, SETTINGS, social=world.social, context=world.context)
    row = result.table.iloc[0]
    rows.append(
        {
            "seed": seed,
            "incremental": row["incremental"],
            "lower": row["incremental_lower"],
            "upper": row["incremental_upper"],
            "word": row["verdict"],
            "claimed": row["verdict"] in CLAIMS,
            "claimed, watched": bool(result.evidence["word"].isin(CLAIMS).any()),
            "brief's engine books": sum(brief_incremental(world.counts, world.airings, window_s=60).values()),
        }
    )
live = pd.DataFrame(rows)
signed = ["incremental", "lower", "upper", "brief's engine books"]
live.style.format(dict.fromkeys(signed, "{:+,.0f}")).hide(axis="index")

# %%
n, held = len(live), int(((live["lower"] <= 0) & (live["upper"] >= 0)).sum())
wrong = int(live["claimed, watched"].sum())
low, high = bounds(held, n)
possible = int(binom.ppf(0.999, n, PROMISED_FALSE))
assert wrong <= possible, f"{wrong} false claims in {n} events: chance alone gives at most {possible}"
Markdown(
    f"{held} of {n} intervals hold the truth, nothing: compatible with anything from {low:.0%} to {high:.0%}. False "
    f"claims: {wrong} of {n}; under the promise of {PROMISED_FALSE:.0%}, chance alone would hardly give more than "
    f"{possible}. The brief's engine books conversions in {(live[signed[-1]] > 0).sum()} of {n}."
)

# %% [markdown]
# ## How many events does a promise need?
#
# The last answer was weak, and that is the point. Suppose not a single false claim is seen: how large may the true rate
# still be? Few events prove very little, and a calibration on a handful of seeds proves nothing.

# %%
size = np.unique(np.geomspace(5, 2000, 60).round())
limit = pd.DataFrame({"events": size, "rate": 1 - 0.05 ** (1 / size)})  # the upper bound of none in n, at one side
most = alt.Chart(limit).mark_line(color=ink.observed).encode(
    x=alt.X("events:Q", scale=alt.Scale(type="log", nice=False), title="events without a false claim",
            axis=alt.Axis(values=[5, 10, 30, 100, 300, 1000])),
    y=alt.Y("rate:Q", title="the true rate may still be", axis=alt.Axis(format=".0%")),
)  # fmt: skip
promise = alt.Chart(pd.DataFrame({"rate": [PROMISED_FALSE]})).mark_rule(strokeDash=[5, 3], color=ink.counterfactual)
alt.layer(most, promise.encode(y="rate:Q")).properties(width=460, height=180).configure(**theme.chart_config("light"))

# %%
needed = int(np.ceil(np.log(0.05) / np.log(1 - PROMISED_FALSE)))
mine = worlds.loc[~worlds["settings"].isin(["brief engine", "plug-in mSPRT"]), "n"]
Markdown(
    f"To rule out a rate above {PROMISED_FALSE:.0%} takes {needed} events without a single false claim. The files hold "
    f"{mine.min():.0f} to {mine.max():.0f} a world: "
    + ("enough for that." if mine.min() >= needed else "not yet enough, which is why so many goals above are open.")
)
