"""The frame of every page: title, fonts, style, navigation. A page opens with one call and needs no other page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from attribution.workbench.head import READY
from attribution.workbench.roles import enter

ROOT = Path(__file__).parents[2]
PAGES = {
    "Live": "app.py",
    "Tune": "pages/tune.py",
    "Evidence": "pages/evidence.py",
    "Airings": "pages/airings.py",
    "Compare": "pages/compare.py",
    "Plan": "pages/plan.py",
    "Report": "pages/report.py",
    "Data": "pages/data.py",
    "Stream": "pages/stream.py",
    "Record": "pages/record.py",
}
"""Every page of the app, in the order of the navigation."""
ICON = Path(__file__).parent / "icon.png"


def page(name: str, *, ready: bool = True) -> None:
    """Open a page: its settings, its navigation; where sign-in is configured, who looks.

    Parameters
    ----------
    name
        A key of :data:`PAGES`.
    ready
        Show it as it grows; else once it says itself that it is laid out.
    """
    if name not in PAGES:
        raise ValueError(f"page is {name!r}; choose one of {', '.join(PAGES)}")
    st.set_page_config(page_title=f"{name} · Event Command", page_icon=str(ICON), layout="wide", menu_items={})
    with st.container(key="bar", horizontal=True, gap="small"):
        st.html('<div class="brand">EVENT_COMMAND</div>', width="content")
        for label, script in PAGES.items():
            st.page_link(script, label=label)
    enter()
    if ready:
        st.html(READY)


def mode() -> str:
    """Return ``"dark"`` or ``"light"``: the theme this session shows."""
    return "light" if st.context.theme.type == "light" else "dark"


def plain_markdown(text: str) -> str:
    r"""Keep Markdown from reading a feed's text as markup.

    Examples
    --------
    >>> print(plain_markdown("a*b"))
    a\*b
    """
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+!|$:~" else c for c in text)
