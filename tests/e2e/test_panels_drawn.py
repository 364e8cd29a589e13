"""Each panel of a world that stands still: the same to the pixel when drawn twice, and as it was when it was kept.

A rounded corner may come out one level of 255 brighter: Chromium rounds what lies between two pixels either way.

``KEEP=1`` in the environment keeps what is drawn as the new pictures. Look at them before they are committed.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest

KEPT = Path(__file__).parents[1] / "golden" / "panels"
PANELS = {
    "verdict": ".verdict",
    "header": ".event",
    "figures": ".st-key-kpis",
    "regions": ".st-key-regions",
    "channels": ".st-key-panel-channel",
    "devices": ".st-key-panel-device",
    "deployment": ".st-key-panel-deployment",
    "plan": ".st-key-panel-plan",
    "actions": ".st-key-panel-actions",
    "integrity": ".st-key-panel-integrity",
    "log": ".st-key-log",
    "path": ".st-key-evidence",
}
"""Panel of the page Operate -> where it stands."""
SIDE = 160
"""Kept pictures are so many pixels wide: letters blur, panels, lines and colours stay."""
ALIKE = 2.5
"""A kept picture may differ by so many of 255 levels on the average (a browser's own way of drawing letters),"""
SOMEWHERE = 35.0
"""and by so many at its worst place, of 8 x 8 pixels."""

pytestmark = pytest.mark.browser


def drawn(page, address: str) -> dict[str, bytes]:
    """Open the page and take every panel, once nothing moves any more."""
    page.goto(address)
    page.locator(".st-key-panel-protocol").wait_for()
    page.locator(".st-key-evidence [data-testid=stVegaLiteChart] :is(svg, canvas)").first.wait_for()
    page.evaluate("document.fonts.ready")
    before: dict[str, bytes] = {}
    for _ in range(40):
        page.wait_for_timeout(700)
        now = {name: page.locator(where).first.screenshot(animations="disabled") for name, where in PANELS.items()}
        if now == before:
            return now
        before = now
    pytest.fail("the page does not come to rest")


def test_a_panel_is_the_same_twice_and_as_it_was_kept(still, browser, dress):
    image = pytest.importorskip("PIL.Image")
    context = dress(browser.new_context(viewport={"width": 1440, "height": 2400}, reduced_motion="reduce"))
    first, second = (drawn(page, still) for page in (context.new_page(), context.new_page()))
    context.close()
    whole = {name: image.open(io.BytesIO(data)).convert("RGB") for name, data in first.items()}
    again = {name: image.open(io.BytesIO(data)).convert("RGB") for name, data in second.items()}
    changed = [name for name in PANELS if not same(whole[name], again[name])]
    assert not changed, f"two pictures of one moment differ: {', '.join(changed)}"
    small = {name: blurred(picture) for name, picture in whole.items()}
    if os.environ.get("KEEP"):
        KEPT.mkdir(exist_ok=True)
        for name, picture in small.items():
            picture.quantize(128).save(KEPT / f"{name}.png", optimize=True)
    far = {name: distance(picture, image.open(KEPT / f"{name}.png").convert("RGB")) for name, picture in small.items()}
    assert all(mean <= ALIKE and worst <= SOMEWHERE for mean, worst in far.values()), far


def test_a_panel_that_changed_is_noticed():
    image = pytest.importorskip("PIL.Image")
    for path in KEPT.glob("*.png"):
        picture = image.open(path).convert("RGB")
        moved = np.roll(np.asarray(picture), 12, axis=0)  # the panel's content, lower by a line
        mean, worst = distance(image.fromarray(moved), picture)
        assert mean > ALIKE or worst > SOMEWHERE, f"{path.name} would not be missed"


def same(one, other) -> bool:
    """Whether no channel of any pixel differs by more than a level."""
    if one.size != other.size:
        return False
    return bool(np.abs(np.asarray(one, int) - np.asarray(other, int)).max() <= 1)


def blurred(picture):
    """Make a picture small."""
    return picture.resize((SIDE, max(8, round(picture.height * SIDE / picture.width))), 1)


def distance(one, other) -> tuple[float, float]:
    """Return the mean difference of two pictures, and that of the worst place of 8 x 8 pixels."""
    if abs(one.height - other.height) > 0.08 * other.height:
        return 255.0, 255.0
    gap = np.abs(np.asarray(one.resize(other.size), float) - np.asarray(other, float)).mean(axis=2)
    rows, columns = (side // 8 * 8 for side in gap.shape)
    places = gap[:rows, :columns].reshape(rows // 8, 8, columns // 8, 8).mean(axis=(1, 3))
    return float(gap.mean()), float(places.max(initial=0.0))
