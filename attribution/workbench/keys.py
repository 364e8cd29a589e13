"""The keyboard of the live page: a key presses the button that does the same; `?` lists them."""

from __future__ import annotations

import json

KEYS = (
    ("?", "these keys", "keys"),
    ("1", "Operate", "depth-operate"),
    ("2", "Analyse", "depth-analyse"),
    ("3", "Present", "depth-present"),
    (" ", "stop time, play, stop again", "hold"),
    ("ArrowLeft", "10 s back; in the story the screen before", "back"),
    ("ArrowRight", "10 s forward; in the story the next screen", "forward"),
    ("l", "back to live", "tolive"),
    ("a", "alerts", "callalerts"),
    ("g", "log", "calllog"),
    ("e", "export the report", "export"),
)
"""Key, what it does, and the key of the container whose button it presses."""
NAMES = {" ": "Space", "ArrowLeft": "←", "ArrowRight": "→"}
"""How a key is written where its own name is unreadable."""


def listener() -> str:
    """Return the script that listens; typing, sliders, menus and open dialogs keep their keys.

    Examples
    --------
    >>> listener().count("ArrowLeft")
    1
    """
    return SCRIPT.replace("KEYS", json.dumps({key: place for key, _, place in KEYS}))


def keys_html() -> str:
    """Write the list of keys."""
    rows = "".join(f"<dt><kbd>{NAMES.get(key, key)}</kbd></dt><dd>{said}</dd>" for key, said, _ in KEYS)
    return f'<div class="ec why keys"><dl>{rows}</dl></div>'


SCRIPT = """<script>
(() => {
  window.eventCommandKeys = KEYS;
  if (window.eventCommandListens) return;
  window.eventCommandListens = true;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target;
    if (at.closest("input,textarea,select,[contenteditable=true],[role=slider],[role=dialog],[role=listbox]")) return;
    if (event.key === " " && at.closest("button,a,summary")) return;
    const place = window.eventCommandKeys[event.key];
    const button = place && document.querySelector(`.st-key-${place} button`);
    if (!button || button.disabled) return;
    event.preventDefault();
    button.click();
  });
})();
</script>"""
