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
# # Priors and decay
#
# How quickly do people answer an ad, and how quickly does the answer fade? Nobody knows for *this* ad, and everybody
# has an opinion. An opinion enters the model as a prior, in daylight, where it can be changed and its weight can be
# seen.
#
# First the fast fit, which answers while a slider moves; then the full posterior of the same model, which takes longer
# and is what the fast fit is held against.

# %%
import tempfile
from pathlib import Path

import altair as alt
import arviz as az
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

import attribution as at
from attribution import theme
from attribution.settings import seconds

alt.renderers.enable("svg")  # charts are drawn on this machine; nothing is fetched
ink = theme.palette("light")
world = at.simulate(at.SCENARIOS["halftime"], rng=7)
WINDOW = "60s"
truth = world.truth.incremental("HALFTIME_PRIME", seconds(WINDOW))


def ask(**choices):
    """Answer the same event under some choices."""
    return at.analyze(
        world.counts,
        world.airings,
        at.Settings(window=WINDOW, **choices),
        social=world.social if choices.get("social", True) else None,
        audience=world.audience,
        context=world.context,
    )


# %% [markdown]
# ## A prior says something before any data
#
# The prior is on the *mode*: the lag at which most people answer. Its middle is `response_peak`, and how firmly it is
# held is `response_peak_logsd`. The defaults are vague on purpose: they hold the seconds of one school and the minute
# of the other.

# %%
PRIORS = {
    "vague (the default)": {},
    "quick": {"response_peak": "10s", "response_peak_logsd": 0.2},
    "published": {"response_peak": "45s", "response_peak_logsd": 0.5},
}
lag = np.geomspace(1, 180, 240)
said = []
for name, prior in PRIORS.items():
    choices = at.Settings(**prior)
    sd = choices.response_peak_logsd
    density = np.exp(-0.5 * (np.log(lag / seconds(choices.response_peak)) / sd) ** 2) / (lag * sd * np.sqrt(2 * np.pi))
    said.append(pd.DataFrame({"prior": name, "mode, seconds": lag, "density": density}))
alt.Chart(pd.concat(said)).mark_line().encode(
    x="mode, seconds:Q",
    y=alt.Y("density:Q", title="prior density"),
    color=alt.Color(
        "prior:N",
        sort=list(PRIORS),
        scale=alt.Scale(range=[ink.muted, ink.counterfactual, ink.bad]),
        legend=alt.Legend(title=None, orient="top-right"),
    ),
    strokeDash=alt.StrokeDash("prior:N", sort=list(PRIORS), legend=None),
).properties(width=560, height=200).configure(**theme.chart_config("light"))

# %% [markdown]
# ## One setting moves, the ghost stays
#
# The response as the model sees it after the data: solid under the prior that is set now, dashed where the vague one
# left it. Where the two agree, the data spoke; where they part, the prior did.

# %%
answers = {name: ask(**prior) for name, prior in PRIORS.items()}


def with_ghost(now, before):
    """Draw a response over the one of an earlier setting."""
    kernel, ghost = (result.kernel.assign(percent=result.kernel["density"] * 100) for result in (now, before))
    x = alt.X("lag_s:Q", title="seconds from delivered exposure to conversion", scale=alt.Scale(domain=[0, 75]))
    y = alt.Y("percent:Q", title="% of the response per second")
    band = alt.Chart(kernel.assign(lower=kernel["lower"] * 100, upper=kernel["upper"] * 100)).mark_area(
        color=ink.effect, opacity=0.28, clip=True
    )
    return alt.layer(
        band.encode(x=x, y=alt.Y("lower:Q", title="% of the response per second"), y2="upper:Q"),
        alt.Chart(ghost).mark_line(color=ink.muted, strokeDash=[5, 3], clip=True).encode(x=x, y=y),
        alt.Chart(kernel).mark_line(color=ink.observed, clip=True).encode(x=x, y=y),
    ).properties(width=330, height=180)


alt.hconcat(
    with_ghost(answers["quick"], answers["vague (the default)"]).properties(title="quick; the vague prior dashed"),
    with_ghost(answers["published"], answers["vague (the default)"]).properties(
        title="published; the vague prior dashed"
    ),
).configure(**theme.chart_config("light"))

# %% [markdown]
# ## Every defensible choice, in one table
#
# Somebody else would have chosen otherwise. So ask under all of the choices that somebody could defend, and look at
# what moves. A finding that lives under one of them alone is a finding about that choice.

# %%
SPECIFICATIONS = PRIORS | {
    "certain, and right": {"response_peak": "10s", "response_peak_logsd": 0.0},
    "certain, and wrong": {"response_peak": "45s", "response_peak_logsd": 0.0},
    "without the social feed": {"social": False},
    "sceptical of any lift": {"lift_sd": 0.1},
}
answers |= {name: ask(**choices) for name, choices in SPECIFICATIONS.items() if name not in answers}
COLUMNS = [
    *("incremental", "incremental_lower", "incremental_upper", "response_peak", "response_peak_lower"),
    *("response_peak_upper", "e_value", "verdict"),
]
table = pd.DataFrame({name: answers[name].table.iloc[0][COLUMNS] for name in SPECIFICATIONS}).T
table["holds the truth"] = (table["incremental_lower"] <= truth) & (truth <= table["incremental_upper"])
whole = ["incremental", "incremental_lower", "incremental_upper", "e_value"]
table.style.format("{:,.0f}", subset=whole).format("{:.1f}", subset=[c for c in COLUMNS if c.startswith("response")])

# %%
rows = table.rename_axis("choice").reset_index()
y = alt.Y("choice:N", sort=None, title=None, axis=alt.Axis(labelLimit=220))
mark = alt.Chart(pd.DataFrame({"truth": [truth]})).mark_rule(color=ink.counterfactual, strokeDash=[5, 3])
alt.layer(
    mark.encode(x="truth:Q"),
    alt.Chart(rows)
    .mark_rule(strokeWidth=2, color=ink.muted)
    .encode(
        y=y,
        x=alt.X("incremental_lower:Q", title="incremental conversions; the truth dashed", scale=alt.Scale(zero=False)),
        x2="incremental_upper:Q",
    ),
    alt.Chart(rows).mark_point(filled=True, size=60, opacity=1, color=ink.observed).encode(y=y, x="incremental:Q"),
).properties(width=480, height=alt.Step(24)).configure(**theme.chart_config("light"))

# %%
moved = (table["incremental"] / table["incremental"].iloc[0] - 1).astype(float)
most = moved.abs().idxmax()
missing = [name for name, holds in table["holds the truth"].items() if not holds]
Markdown(
    f"The choice that moves the answer most is *{most}*: {moved[most]:+.0%}. The intervals that miss the truth of "
    f"{truth:,.0f}: {', '.join(f'*{name}*' for name in missing) or 'none'}."
)

# %% [markdown]
# A certainty that is wrong is the costliest prior of all: data cannot correct it, and its interval does not know that
# it is wrong. Vague costs width; certain costs truth.
#
# ## The full posterior
#
# The same likelihood and the same priors, sampled rather than approximated. The draws here are few, so that this
# notebook stays quick; take more for anything you sign.

# %%
result = answers["quick"]
idata = result.sample_posterior(draws=300, chains=2, rng=0)
idata.posterior["incremental"].dims

# %% [markdown]
# ## Is it converged?
#
# R-hat compares the chains with one another and should not pass its goal; the effective sample sizes say how many
# independent draws the chains are worth, in the middle and in the tails. These figures diagnose the *sampler*. They say
# nothing about whether the ad worked.

# %%
GOAL_R_HAT, GOAL_ESS = 1.01, 400
summary = az.summary(idata, var_names=["incremental"], round_to="none")
display(summary.round(3))
r_hat = float(summary["r_hat"].astype(float).max())
ess = float(summary[["ess_bulk", "ess_tail"]].astype(float).to_numpy().min())
Markdown(
    f"R-hat {r_hat:.3f} (goal: at most {GOAL_R_HAT}), effective draws {ess:,.0f} (goal: at least {GOAL_ESS}): "
    + (
        "both goals are met."
        if r_hat <= GOAL_R_HAT and ess >= GOAL_ESS
        else "not good enough to sign. Take more draws and more chains before believing its tails."
    )
)

# %% [markdown]
# ## Fast against full
#
# If the fast fit is honest, it says what the posterior says, and beside a surge a little less: there its intervals are
# wider than the posterior's on purpose, because those held too few truths. The grey histogram are the draws; the line
# is the fast fit's interval.

# %%
draws = np.asarray(idata.posterior["incremental"]).reshape(-1)
row = result.table.iloc[0]
height = alt.Y("count():Q", title="draws")
alt.layer(
    alt.Chart(pd.DataFrame({"incremental": draws}))
    .mark_bar(color=ink.line)
    .encode(x=alt.X("incremental:Q", bin=alt.Bin(maxbins=40), title="incremental conversions"), y=height),
    alt.Chart(pd.DataFrame({"low": [row["incremental_lower"]], "high": [row["incremental_upper"]]}))
    .mark_rule(color=ink.observed, strokeWidth=3)
    .encode(x="low:Q", x2="high:Q", y=alt.value(190)),
    alt.Chart(pd.DataFrame({"truth": [truth]}))
    .mark_rule(color=ink.counterfactual, strokeDash=[5, 3])
    .encode(x="truth:Q"),
).properties(width=560, height=200).configure(**theme.chart_config("light"))

# %%
low, middle, high = np.quantile(draws, [result.alpha / 2, 0.5, 1 - result.alpha / 2])
spread = row["incremental_upper"] - row["incremental_lower"]
Markdown(
    f"Full: {middle:,.0f} ({low:,.0f} to {high:,.0f}). Fast: {row['incremental']:,.0f} "
    f"({row['incremental_lower']:,.0f} to {row['incremental_upper']:,.0f}). The middles differ by "
    f"{abs(middle - row['incremental']) / spread:.0%} of the interval, and the full interval is "
    f"{(high - low) / spread:.2f} times as wide."
)

# %% [markdown]
# ## Kept, and opened again
#
# The draws go into one file and come back as they were; a colleague needs no sampler to ask them another question.

# %%
path = Path(tempfile.mkdtemp()) / "halftime.nc"
idata.to_netcdf(path)
again = az.from_netcdf(path)
same = np.array_equal(np.asarray(again.posterior["incremental"]), np.asarray(idata.posterior["incremental"]))
assert same, "the file does not hold the draws that were saved"
ENOUGH = 0.2
worth = float((draws > row["counterfactual"] * ENOUGH).mean())
Markdown(
    f"`{path.name}`, {path.stat().st_size / 1024:,.0f} kB, holds the same draws. Another question, asked of them: the "
    f"probability that the lift is more than {ENOUGH:.0%} is {worth:.0%}."
)
