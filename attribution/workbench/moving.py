"""What moves on the live page, as HTML by place: pushed to who listens, written by the page for who does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribution.workbench import bell, cards, integrity, panels

if TYPE_CHECKING:
    from attribution.workbench.look import Look


def parts(now: Look) -> dict[str, str]:
    """Return HTML by place, of one look and for every session alike; all that a feed types is escaped."""
    sound = panels.title("Stream_integrity", integrity.soundness(now))
    return {
        "verdict": panels.verdict_bar(now),
        "event": panels.event_header(now, waiting=len(integrity.alerts(now))),
        **cards.cards(now),
        "soundness": f'<div class="ec">{sound}</div>',
        "integrity": integrity.integrity(now),
        "log": panels.log(now.log, len(now.log)),
        "decision": bell.decision(now),
    }


def place(name: str, html: str) -> str:
    """Mark HTML as what is shown in a place, where a newer one may be pushed.

    Examples
    --------
    >>> place("verdict", "<p>caused</p>")
    '<div data-moves="verdict"><p>caused</p></div>'
    """
    return f'<div data-moves="{name}">{html}</div>'
