"""What the data page shows of files: what each is, what was read, the clocks, one mend for each finding."""

from __future__ import annotations

import shlex
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from attribution import timelines
from attribution.figures import html_table
from attribution.files import Files, tell
from attribution.mends import Mend, mendable
from attribution.sheets import findings_html
from attribution.workbench import desk
from attribution.workbench.shell import mode

if TYPE_CHECKING:
    from attribution.kinds import Kind
    from attribution.settings import Settings

SAID = "said"
"""Where a session keeps what the analyst said about its files."""
ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "UTC", "Europe/London",
         "Europe/Berlin", "Asia/Tokyo", "Australia/Sydney")  # fmt: skip
"""Zones that are offered; any other can be typed."""
WORDS = {
    "tz": "Zone of times that carry none",
    "broadcast_day_start": "The broadcast day begins at",
    "frame_rate": "Frames a second",
    "clock_offset": "Added to the airings' times",
    "kind": "Kind of event that counts",
    "width": "Width of a bin",
    "stream_start": "First picture on air at",
    "cumulative": "The counts only grow",
}
"""Arguments in words."""
PRESS = {
    "broadcast_day_start": "Begin days at {}",
    "clock_offset": "Move airings by {}",
    "frame_rate": "Count {} a second",
    "kind": "Count {}",
}
"""What a press does, in words."""
NEEDED = {"conversions": {"counts", "events"}, "airings": {"airings", "exposures"}}


def said(paths: tuple[Path, ...]) -> desk.Said:
    """Return what is said about these files in this session, and was said before about their headers."""
    kept = st.session_state.get(SAID)
    if kept is None or kept[0] != paths:
        kept = (paths, desk.first_words(paths, desk.Said()))
        st.session_state[SAID] = kept
    return kept[1]


def say(paths: tuple[Path, ...], words: desk.Said) -> None:
    """Take what was said, and show the page anew."""
    st.session_state[SAID] = (paths, words)
    st.rerun()


def uploads() -> tuple[Path, ...]:
    """Let the analyst drop files, any number at once."""
    dropped = st.file_uploader(
        "Drop all files of the event: conversions, airings, and whatever else there is",
        type=desk.SUFFIXES,
        accept_multiple_files=True,
        key="dropped",
    )
    if "shelf" not in st.session_state:
        st.session_state["shelf"] = tempfile.TemporaryDirectory(prefix="event-command-")
    shelf = Path(st.session_state["shelf"].name)
    return tuple(desk.shelve(shelf, file.file_id, file.name, file.getvalue()) for file in dropped)


def table_of(paths: tuple[Path, ...], words: desk.Said) -> tuple[dict[Path, Kind], str]:
    """Show what each file is, and let it be said; the kinds, and what is still needed or wrong, in a sentence."""
    told, wrong = _told(paths, words.roles)
    for number, path in enumerate(paths):
        _row(number, path, paths, told, words)
    roles = {kind.role for kind in told.values()}
    missing = [name for name, fits in NEEDED.items() if not roles & fits]
    if wrong:
        return told, wrong
    if len({path.name for path in paths}) < len(paths):
        return told, "Two files have the same name; rename one."
    return told, f"Still needed: {' and '.join(f'the {name}' for name in missing)}." if missing else ""


@st.cache_data(show_spinner=False, max_entries=200)
def _told(paths: tuple[Path, ...], roles: dict[str, str]) -> tuple[dict[Path, Kind], str]:
    """Tell what the files are; those that cannot be opened are left out, and the first is told in words."""
    good, wrong = [], ""
    for path in paths:
        try:
            tell([path])
            good.append(path)
        except ValueError as error:
            wrong = wrong or str(error)
    names = {path.name for path in good}
    return tell(good, {name: role for name, role in roles.items() if name in names}), wrong


def _row(number: int, path: Path, paths: tuple[Path, ...], told: dict[Path, Kind], words: desk.Said) -> None:
    kind = told.get(path)
    name, choice = st.columns([1.5, 1], vertical_alignment="center")
    why = "cannot be read" if kind is None else f"{kind.role or 'left out'}: {kind.why}"
    name.html(f'<div class="ec"><b>{escape(path.name)}</b><br><small class="muted">{escape(why)}</small></div>')
    now = words.roles.get(path.name)
    shown = desk.CHOICES[0] if now is None else now or desk.CHOICES[-1]
    picked = choice.selectbox(
        f"{path.name} is", desk.CHOICES, index=desk.CHOICES.index(shown), key=f"role-{number}-{path}-{shown}",
        label_visibility="collapsed",
    )  # fmt: skip
    if picked != shown:
        role = desk.role_said(picked)
        roles = {k: v for k, v in words.roles.items() if k != path.name} | ({} if role is None else {path.name: role})
        say(paths, desk.Said(roles=roles, zones=words.zones, columns=words.columns, rest=words.rest))


def how(paths: tuple[Path, ...], told: dict[Path, Kind], words: desk.Said) -> None:
    """Show what was said beyond what was found, and let any of it be said or taken back."""
    # the key of each widget holds what it shows: what was said elsewhere makes it anew, and it never answers back
    before = bool(words.rest.get("cumulative"))
    grows = st.toggle(WORDS["cumulative"], value=before, key=f"grows-{before}")
    if grows != before:
        say(paths, words.mended(Mend("cumulative", None), grows))
    taken = [(WORDS[name], name, value) for name, value in words.rest.items() if value and name != "cumulative"]
    for label, name, value in taken:
        text, undo = st.columns([3, 1], vertical_alignment="center")
        text.html(f'<div class="ec"><small>{escape(label)}: <b>{escape(str(value))}</b></small></div>')
        if undo.button("Undo", key=f"undo-{name}", width="stretch"):
            say(paths, words.mended(Mend(name, None), None))
    with st.expander("Zones and columns, file by file"):
        _file_by_file(paths, told, words)
    if words.zones or words.columns or words.roles:
        st.caption("What you said about these files is kept for files with the same header.")
        if st.button("Forget it", key="forget"):
            desk.forget_words(told)
            say(paths, desk.Said())


def _file_by_file(paths: tuple[Path, ...], told: dict[Path, Kind], words: desk.Said) -> None:
    named = {path.name: path for path in told if told[path].columns}
    if not named:
        return
    name = str(st.selectbox("File", list(named), key="mapped-file"))
    kind = told[named[name]]
    old = words.zones.get(name, "")
    zone = st.text_input(WORDS["tz"], value=old, placeholder=ZONES[0], key=f"zone-{name}-{old}").strip()
    if zone != old:
        say(paths, words.mended(Mend("tz", None), zone, name))
    if kind.role == "airings":
        old = str(words.rest.get("broadcast_day_start") or "")
        begins = st.text_input(WORDS["broadcast_day_start"], value=old, placeholder="06:00", key=f"day-{old}").strip()
        if begins != old:
            say(paths, words.mended(Mend("broadcast_day_start", None), begins))
    before = words.columns.get(name, {})
    options = ["found", *kind.columns]
    for role in desk.COLUMNS.get(kind.role, ()):
        now = before.get(role, "found")
        place = options.index(now) if now in options else 0
        picked = str(st.selectbox(role, options, index=place, key=f"column-{role}-{named[name]}-{now}"))
        if picked != options[place]:
            rest = {k: v for k, v in before.items() if k != role} | ({} if picked == "found" else {role: picked})
            columns = {**words.columns, name: rest}
            say(paths, desk.Said(roles=words.roles, zones=words.zones, columns=columns, rest=words.rest))


def mend_error(error: ValueError, paths: tuple[Path, ...], told: dict[Path, Kind], words: desk.Said) -> None:
    """Show what cannot be read, and the one thing that mends it."""
    st.error(str(error))
    path, mend = desk.trouble(error, paths)
    if mend is None:
        return
    if mend.argument == "columns" and path is not None and path in told:
        label, options = f"The column for {mend.role} in {path.name}", list(told[path].columns)
    elif mend.argument == "tz":
        label, options = f"{WORDS['tz']}{f', in {path.name}' if path else ''}", list(ZONES)
    else:
        label, options = WORDS.get(mend.argument, mend.argument), [] if mend.value is None else [str(mend.value)]
    value = st.selectbox(label, options, index=None, accept_new_options=mend.argument != "columns", key=f"mend-{error}")
    mended = words if not value else words.mended(mend, str(value), path.name if path else "")
    if mended != words:
        say(paths, mended)


def show(files: Files, paths: tuple[Path, ...], words: desk.Said) -> None:
    """Show what was read: shape, spans, account of each file, findings with their mends, the clocks."""
    counts = files.counts
    first, width = counts.start[0].astype("datetime64[s]"), counts.width.min()
    sizes = ((counts.regions, "region"), (counts.channels, "channel"), (counts.devices, "device"))
    parts = ", ".join(f"{len(labels):,} {name}{'s' * (len(labels) != 1)}" for labels, name in sizes)
    shape = (
        f"{len(counts.start):,} bins of {width:g} s, {parts}; {first} to {counts.end:%Y-%m-%dT%H:%M:%S} UTC; "
        f"{len(files.airings):,} airing{'s' * (len(files.airings) != 1)}."
    )
    st.html(f'<div class="ec"><p class="lead">{escape(shape)}</p></div>')
    _chart(timelines.spans(files, mode=mode()))
    st.html(f'<div class="ec"><div class="cap">Findings</div>{findings_html(files.findings)}</div>')
    for number, (finding, mend) in enumerate(mendable(files.findings)):
        text, press = st.columns([3, 1.3], vertical_alignment="center")
        text.html(f'<div class="ec"><small>▲ {escape(finding.what)}</small></div>')
        if press.button(
            PRESS.get(mend.argument, "Take {}").format(mend.value),
            key=f"take-{number}-{mend.argument}",
            width="stretch",
        ):
            say(paths, words.mended(mend, mend.value))
    with st.expander("Every row, file by file"):
        for member in files.members:
            pairs = ", ".join(f"{role} = {column}" for role, column in member.mapping.items())
            heading = f"<p><b>{escape(member.path.name)}</b> <span class=muted>{escape(pairs)}</span></p>"
            st.html(f'<div class="ec">{heading}{findings_html(member.findings)}</div>')
    rows = [
        (escape(m.path.name), escape(m.role), escape(m.findings[-1].what if m.findings else "")) for m in files.members
    ]
    st.html(f'<div class="ec">{html_table(("File", "Is", "Account of its rows"), rows, words=True)}</div>')


def clocks(files: Files) -> None:
    """Show what the data say of the clocks: the curve, the interval, or that it cannot be told."""
    offset = files.offset
    if offset.told:
        span = f"{offset.lower:+.0f} s to {offset.upper:+.0f} s"
        words = f"The airings' clock is off by {offset.seconds:+.0f} s, 95% interval {span}: {offset.why}."
        if not offset.needed:
            words = f"The clocks agree as far as can be told, {span}: {offset.why}."
    else:
        words = f"Whether the clocks agree cannot be told: {offset.why}."
    st.html(f'<div class="ec"><p class="lead">{escape(words)}</p></div>')
    if offset.curve["score"].notna().any():
        _chart(timelines.offset_curve(offset, mode=mode()))


def did(files: Files, settings: Settings | None) -> None:
    """Show the lines that do the same in a notebook, and the command that does it in a terminal."""
    st.code(files.code(settings), language="python", wrap_lines=True)
    st.code(command(files), language="bash", wrap_lines=True)


def command(files: Files) -> str:
    """Write the command line that analyses the same files the same way."""
    options: list[str] = []
    for name, value in files.options.items():
        option = f"--{name.replace('_', '-')}"
        if name == "cumulative":
            options.append(option)
        elif name in {"roles", "tz"} and isinstance(value, dict):
            short = {"roles": "--role"}.get(name, option)
            options += [part for key, each in value.items() for part in (short, f"{key}={each}")]
        elif name == "columns":
            options += [
                part for key, roles in value.items() for role, column in roles.items()
                for part in ("--map", f"{key}:{role}={column}")
            ]  # fmt: skip
        else:
            options += [option, str(value)]
    return shlex.join(["attribution", "analyze", *(m.path.name for m in files.members), *options])


def _chart(chart: Any) -> None:
    st.vega_lite_chart(None, chart.properties(width="container").to_dict(), theme=None)
