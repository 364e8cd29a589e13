"""Where the app's server answers beside its pages."""

from __future__ import annotations

import streamlit as st


def below(path: str) -> str:
    """Return a path below the one at which the app is served."""
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"/{base}/{path}" if base else f"/{path}"


def beat(token: str) -> str:
    """Return the path at which a feed is heard."""
    return below(f"live/beat/{token}")


def land() -> str:
    """Return the path of the outline of the land."""
    return below("live/land.svg")


def first() -> str:
    """Return the path of what is shown before a page has run."""
    return below("live/first")
