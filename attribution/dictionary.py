"""What every column of an answer's tables means, and in which unit: the data dictionary."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """One column of a table."""

    table: str
    name: str
    kind: str
    """``text``, ``time`` (UTC), ``number``, ``whole`` or ``flag``."""
    unit: str
    meaning: str


WRITTEN = """
table: one row an airing
airing | text | name | the airing that is judged
start | time | UTC | when it began
regions | text | names, "|" between them | where it ran
counterfactual | number | conversions | expected in its window without it
incremental | number | conversions | in its window beyond the counterfactual; signed
incremental_lower | number | conversions | lower end of the interval
incremental_upper | number | conversions | upper end of the interval
robust_lower | number | conversions | lower end where a shock that no feed shows is allowed for
robust_upper | number | conversions | upper end where a shock that no feed shows is allowed for
lift | number | share | incremental / counterfactual over the window
lift_lower | number | share | lower end of the interval
lift_upper | number | share | upper end of the interval
probability_positive | number | probability | P(incremental > 0), given the model
e_value | number | ratio | evidence that may be watched; 1/alpha is the line
anytime_p | number | probability | the p-value that holds however often one looks
placebo_p | number | probability | share of moments without the ad that moved as much
placebos | number | moments | how many of them were compared
response_peak | number | seconds | from delivery to the densest response
response_peak_lower | number | seconds | lower end of the interval
response_peak_upper | number | seconds | upper end of the interval
minimum_detectable_lift | number | share | smallest lift that such an airing shows four times out of five
iroas | number | ratio | incremental revenue / spend
iroas_lower | number | ratio | lower end of the interval
iroas_upper | number | ratio | upper end of the interval
roi | number | ratio | (incremental margin - spend) / spend
roi_lower | number | ratio | lower end of the interval
roi_upper | number | ratio | upper end of the interval
rung | whole | 0 to 5 | how the answer is identified; 0 where there is none
verdict | text | word | the verdict
total: the exposed regions together, one row a bin
group | whole | number | airings that were fitted together have one number
time | time | UTC | when the bin begins
width_s | number | seconds | how long it is
observed | number | conversions | counted in the bin
counterfactual | number | conversions | expected without the ad
counterfactual_lower | number | conversions | lower end of the band
counterfactual_upper | number | conversions | upper end of the band
ad | number | conversions | the model's part of the ad
ad_lower | number | conversions | lower end of its band
ad_upper | number | conversions | upper end of its band
organic | number | conversions | the surge's part of the counterfactual
break | number | conversions | declared breaks' part of the counterfactual
series: the same for each region
region | text | name | the region; "all" where its parts cannot be told apart
evidence: one row a look
airing | text | name | the airing that is watched
time | time | UTC | when the look was taken
log_e | number | natural log | the e-value against the worst world without the ad
anytime_p | number | probability | the p-value that holds however often one looks
log_plain | number | natural log | the e-value against the average world without the ad
joint_log_e | number | natural log | the e-value of exposed regions against the control alone
incremental | number | conversions | so far
lower | number | conversions | lower end; it holds at all looks at once
upper | number | conversions | upper end; it holds at all looks at once
sd | number | conversions | standard deviation of the amount so far
explained | text | words | the world without the ad that fits best
word | text | word | what this look would have said
shares: of the incremental, by channel and device
airing | text | name | the airing
dimension | text | channel or device | what is shared out
category | text | name | the channel or device
share | number | share | of the incremental; they add up to 1
lower | number | share | lower end of the interval
upper | number | share | upper end of the interval
raw | number | share | of everything counted in the window, for contrast
kernel: the response over time, averaged over shapes
airing | text | name | the airing
lag_s | number | seconds | from delivery to conversion
density | number | 1 / second | share of the response that comes in this second
lower | number | 1 / second | lower end of the band
upper | number | 1 / second | upper end of the band
worlds: what else may have moved the counts
airing | text | name | the airing
world | text | words | what is assumed
weight | number | share | of the evidence; they add up to 1
gap: from having seen the ad to the response
airing | text | name | the airing
what | text | onset, mode or mean | which lag
seconds | number | seconds | the lag
lower | number | seconds | lower end of the interval
upper | number | seconds | upper end of the interval
money: what the airing brought in beside what it cost
airing | text | name | the airing
what | text | iroas, roi or cost per incremental | which figure
value | number | ratio, or money | the figure
lower | number | ratio, or money | lower end of the interval
upper | number | ratio, or money | upper end of the interval
status | text | words | why a figure is unknown; empty where it is known
bounds: if a loss that nobody counted were as large as named
airing | text | name | the airing
loss | number | share | lost where nobody counted
lower | number | conversions | the incremental could be as low as this
upper | number | conversions | the incremental could be as high as this
together: pairs that cannot be told apart
airing | text | name | the airing
other | text | name | the other one
correlation | number | -1 to 1 | of their amounts
incremental | number | conversions | of the two together
lower | number | conversions | lower end of the interval
upper | number | conversions | upper end of the interval
regional: each region in the airing's window
airing | text | name | the airing
region | text | name | the region
exposed | flag | yes or no | whether the airing ran there
counterfactual | number | conversions | expected there without it
incremental | number | conversions | there
incremental_lower | number | conversions | lower end of the interval
incremental_upper | number | conversions | upper end of the interval
lift | number | share | incremental / counterfactual there
lift_lower | number | share | lower end of the interval
lift_upper | number | share | upper end of the interval
groups: sums of a dense schedule, the whole first
dimension | text | word | creative, network, daypart, spend band, or the whole
category | text | name | which of them
airings | whole | number | how many airings are summed
incremental | number | conversions | their sum
lower | number | conversions | lower end of the interval
upper | number | conversions | upper end of the interval
p | number | probability | share of shifted schedules that reach the sum
verdict | text | word | the verdict on the sum
reasons: why a figure of the first table is unknown
airing | text | name | the airing
column | text | name | the column
reason | text | words | why
airings: the log as it was analysed
airing | text | name | the airing
start | time | UTC | when it began
length_s | number | seconds | how long it ran
regions | text | names, "|" between them | where; empty for everywhere
break_id | text | name | the break it stood in
creative | text | name | what was shown
network | text | name | who showed it
spend | number | money | what it cost
impressions | number | views | how many it reached
value | number | money | what a conversion brings
margin | number | share | of the value that is kept
assignment | text | words | whether region or moment was drawn by lot
"""
"""A table with what its rows are, then its columns: name, kind, unit, meaning; of ``series`` what ``total`` lacks."""


def _read() -> tuple[dict[str, str], tuple[Column, ...]]:
    tables: dict[str, str] = {}
    columns = []
    for line in WRITTEN.strip().splitlines():
        parts = line.split(" | ")
        if len(parts) == 1:
            name, _, what = line.partition(": ")
            tables[name] = what
        else:
            columns.append(Column(list(tables)[-1], *parts))
    total = [column._replace(table="series") for column in columns if column.table == "total"]
    at = next(i for i, column in enumerate(columns) if column.table == "series")
    columns[at : at + 1] = [total[0], columns[at], *total[1:]]
    return tables, tuple(columns)


TABLES, COLUMNS = _read()
"""What a row of each table is; every column of every table."""


def columns(table: str) -> tuple[Column, ...]:
    """Return the columns of one table, in their order.

    Examples
    --------
    >>> [column.name for column in columns("worlds")]
    ['airing', 'world', 'weight']
    """
    if table not in TABLES:
        raise ValueError(f"table is {table!r}; choose one of {', '.join(TABLES)}")
    return tuple(column for column in COLUMNS if column.table == table)
