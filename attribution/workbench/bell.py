"""A sound, or a notification of the desktop, when a verdict becomes another: off until a session asks for it."""

from __future__ import annotations

from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from attribution.workbench import integrity

if TYPE_CHECKING:
    from attribution.workbench.look import Look

SOUND, DESKTOP = "bell-sound", "bell-desktop"


def switches() -> None:
    """Draw the two switches; the browser asks for its leave when the second is turned on."""
    with st.container(key="bell", horizontal=True, gap="medium"):
        for key, words in ((SOUND, "Sound on a decision"), (DESKTOP, "Desktop notification on a decision")):
            with st.container(key=f"switch-{key}", width="content"):
                st.toggle(words, key=key)
    st.html('<p class="ec said refused">This browser does not allow notifications here.</p>')


def bell(look: Look) -> None:
    """Tell the browser the latest decision, and whether this session wants to hear of it; in a fragment that moves."""
    st.html(told(look, sound=bool(st.session_state.get(SOUND)), desktop=bool(st.session_state.get(DESKTOP))))


def told(look: Look, *, sound: bool, desktop: bool) -> str:
    """Write the latest decision of what is shown live, and by what a session wants to hear of it."""
    wanted = f"{' sound' * sound}{' desktop' * desktop}"
    return f'<div data-bell="{wanted}"><div data-moves="decision">{decision(look)}</div></div>'


def decision(look: Look) -> str:
    """Write the latest decision, for the listener and for those who hear the page."""
    last = next((alert for alert in integrity.alerts(look) if alert.kind == "decision"), None)
    # A name of the feed in an attribute may be markup, and the page would strip it: the key is a hash.
    key, text = ("", "") if last is None else (sha256(last.key.encode()).hexdigest()[:16], last.entry.text)
    return f'<p class="heard" role="status" data-key="{key}">{escape(text)}</p>'


def listener() -> None:
    """Run the script that rings."""
    st.html(SCRIPT, unsafe_allow_javascript=True)


SCRIPT = """<script>
(() => {
  if (window.eventCommandBell) return;
  window.eventCommandBell = true;
  let last = null;
  const sound = () => {
    const audio = new AudioContext(), tone = audio.createOscillator(), loud = audio.createGain();
    loud.gain.setValueAtTime(0.12, audio.currentTime);
    loud.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.6);
    tone.frequency.value = 660;
    tone.connect(loud).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.6);
    tone.onended = () => audio.close();
  };
  const refused = () => document.documentElement.toggleAttribute(
    "data-refused", !("Notification" in window) || Notification.permission === "denied");
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".st-key-switch-bell-desktop")) return;
    if ("Notification" in window && Notification.permission === "default")
      Notification.requestPermission().then(refused);
    else refused();
  });
  setInterval(() => {
    const now = document.querySelector("[data-bell] [data-key]");
    if (!now || now.dataset.key === last) return;
    const news = last !== null && now.dataset.key !== "", wanted = now.closest("[data-bell]").dataset.bell.split(" ");
    last = now.dataset.key;
    if (news && wanted.includes("sound")) sound();
    if (news && wanted.includes("desktop") && window.Notification?.permission === "granted")
      new Notification("Event Command", {body: now.textContent, tag: last});
  }, 500);
})();
</script>"""
"""What was decided before the page came is no news."""
