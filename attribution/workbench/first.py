"""What the live page shows before its script has run: the answer of this moment, written by the server at once.

A page of Streamlit takes a second or more until its first element is there. Until then a frame over it shows what is
known, with the chart that the page will have, pushed as that is; it goes once the page has painted its own.
"""

from __future__ import annotations

import json
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from streamlit.auth_util import get_secrets_auth_section

from attribution.workbench import cards, panels, paths
from attribution.workbench.event import view
from attribution.workbench.hero import PARTS
from attribution.workbench.live_style import sheet
from attribution.workbench.moving import place
from attribution.workbench.shell import PAGES
from attribution.workbench.style import style
from attribution.workbench.watch import OPEN

if TYPE_CHECKING:
    from attribution.workbench.watch import Watch

OTHERWISE = ("depth", "at")
"""An address that names one of these asks for more than this shows, or for another moment."""
FRAME = """<iframe class="first" src="{source}" title="What is known at this moment; the page follows"></iframe><style>
.first{{position:fixed;inset:0;width:100%;height:100%;border:0;z-index:999990;animation:veil 0s 20s forwards!important}}
</style><script>
(() => {{
  const frame = document.querySelector(".first");
  const done = () => document.querySelector(".ready") && document.querySelector(".velocity[data-painted]");
  const look = new MutationObserver(() => {{
    if (!done()) return;
    look.disconnect();
    frame.remove();
  }});
  look.observe(document.body, {{subtree: true, childList: true, attributes: true, attributeFilter: ["data-painted"]}});
  setTimeout(() => {{ look.disconnect(); frame.remove(); }}, 20000);
}})();
</script>"""
"""Stands over the page until its own chart is painted; for no longer than the veil under it."""
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{style}<script>
const kept = localStorage.getItem(`stActiveTheme-${{parent.location.pathname}}-v2`) ?? "";
const system = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
const named = kept.toLowerCase().match(/light|dark/);
document.documentElement.style.colorScheme = named ? named[0] : system;
</script></head><body><main class="early"><nav class="pages"><div class="brand">EVENT_COMMAND</div>{pages}</nav>
<p class="ec opening" role="status">the controls follow</p><div class="st-key-top">{top}</div>
<div class="st-key-kpis">{row}</div><div class="both"><section class="st-key-hero">
<div class="ec"><h2>Conversion velocity</h2></div><div class="st-key-velocity-chart">{parts}</div></section>
<div class="side"><section class="st-key-panel-integrity">{sound}</section><section class="st-key-log">{log}</section>
</div></div></main><script type="module">
{script}
draw({{ data: {data}, parentElement: document.body, setStateValue: () => {{}} }});
</script></body></html>"""
STYLE = """<style>
html{font-size:15px}body{margin:0;background:var(--background);color:var(--ink);color-scheme:inherit;overflow:hidden;
 line-height:1.6}
.early{display:grid;gap:.75rem;max-width:1720px;margin:0 auto;padding:.35rem 1.25rem 2rem;box-sizing:border-box}
.early *{box-sizing:border-box}
.pages{display:flex;align-items:center;min-height:2.5rem;gap:.35rem .9rem}
.pages a{padding:.2rem .65rem;border-radius:4px;font:400 .82rem/1.6 var(--mono);color:var(--muted);text-decoration:none}
.pages a[aria-current]{background:var(--line);color:var(--ink);font-weight:600}
.opening{min-height:2.5rem;margin:0;display:flex;align-items:center;font-size:.76rem;color:var(--muted)}
.early .st-key-hero{display:grid;gap:.3rem;align-content:start}.early .st-key-log .head{padding-bottom:2.5rem}
.early .st-key-hero>.ec{display:flex;align-items:center;min-height:1.8rem}
.early .st-key-panel-integrity{display:grid;gap:.35rem;align-content:start}
.early .st-key-kpis{display:grid;grid-template-columns:repeat(5,minmax(0,1fr));gap:.75rem}
.both{display:grid;grid-template-columns:minmax(0,3fr) minmax(0,1fr);gap:1rem}.both>*{min-width:0}
.side{display:grid;gap:1rem;grid-template-rows:auto 1fr}
@media(max-width:1180px){.early .st-key-kpis{grid-template-columns:repeat(6,minmax(0,1fr))}
 .both{grid-template-columns:minmax(0,1fr)}.pages{gap:.15rem}.pages a{padding:.2rem .42rem}}
@media(max-width:720px){.early{padding:.35rem .7rem 2rem}.pages{flex-wrap:wrap;gap:0 .1rem}
 .pages a{padding:.1rem .4rem}.opening{min-height:4.15rem}
 .early .st-key-kpis{grid-template-columns:minmax(0,1fr) minmax(0,1fr)}}
</style>"""
"""Puts the parts where the page will have them."""


def opened(query: str) -> Watch | None:
    """Return the watch of what an address asks for, where it is open already and everybody may see it.

    Parameters
    ----------
    query
        What stands behind the question mark.
    """
    asked = dict(parse_qsl(query, keep_blank_values=True))
    if any(name in asked for name in OTHERWISE) or get_secrets_auth_section():
        return None
    try:
        feed = OPEN.get(view(asked))
    except ValueError:  # the page says what is wrong with it
        return None
    return None if feed is None or feed.forgotten else feed


def frame(query: str) -> str:
    """Return the frame that stands over the page."""
    return FRAME.format(source=escape(f"{paths.first()}?{query}"))


def document(feed: Watch) -> str:
    """Return the frame's document: verdict, figures, chart, the feed's soundness and its log, all of one look."""
    now = feed.look()
    pages = "".join(
        f'<a target="_top" href="{_page(script)}"{" aria-current=page" * (name == "Live")}>{name}</a>'
        for name, script in PAGES.items()
    )
    parts = feed.parts(now)
    telemetry = panels.title("Telemetry_stream", "state changes")
    data = {"address": paths.beat(feed.pulse.token), "drawing": feed.drawing(now), "figures": True}
    return PAGE.format(
        style=style() + sheet("inherit") + STYLE,
        title=f"{escape(now.event.title)} · Event Command",
        pages=pages,
        top=place("verdict", parts["verdict"]) + place("event", parts["event"]),
        row="".join(f'<div class="st-key-kpi-{name}">{place(name, parts[name])}</div>' for name in cards.NAMES),
        parts=PARTS,
        sound=place("soundness", parts["soundness"]) + place("integrity", parts["integrity"]),
        log=f'<div class="ec">{telemetry}</div>{place("log", parts["log"])}',
        script=_script(),
        data=json.dumps(data).replace("<", "\\u003c"),
    )


def _page(script: str) -> str:
    return paths.below("" if script == "app.py" else Path(script).stem)


@cache
def _script() -> str:
    """Return the chart's own script, as a part of a document."""
    text = Path(__file__).with_name("hero.js").read_text(encoding="utf-8")
    return text.replace("export default function", "const draw = function")
