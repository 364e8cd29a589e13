"""Where regions lie, and the outline of the land they lie on: drawn for this project, coarse, from no one's map."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

SOURCE = "outline drawn by hand for this project on a grid of 3 degrees, same licence"
"""Stands beside the map."""
STEP = 3.0
"""Degrees between two dots of the land."""
NORTH, SOUTH = 75.0, -54.0

OUTLINE: tuple[tuple[tuple[float, float], ...], ...] = (
    # (longitude, latitude) of corners, by eye: the Americas, Greenland, Europe and Asia, Africa, islands, Australia.
    ((-168, 66), (-156, 72), (-128, 70), (-110, 73), (-82, 73), (-80, 64), (-94, 60), (-82, 54), (-78, 62), (-66, 59),
     (-56, 52), (-66, 45), (-76, 38), (-81, 31), (-80, 25), (-84, 30), (-97, 28), (-96, 19), (-87, 21), (-83, 10),
     (-78, 8), (-86, 11), (-105, 19), (-113, 30), (-124, 40), (-124, 48), (-134, 57), (-152, 60), (-165, 61)),
    ((-78, 8), (-62, 11), (-50, 2), (-35, -6), (-39, -16), (-48, -27), (-58, -36), (-66, -45), (-68, -55), (-75, -50),
     (-71, -30), (-70, -18), (-81, -6), (-79, 2)),
    ((-54, 66), (-58, 75), (-22, 75), (-24, 69), (-42, 60)),
    ((-10, 36), (-9, 44), (-1, 44), (-4, 48), (5, 52), (9, 57), (6, 62), (14, 68), (26, 71), (42, 67), (60, 69),
     (75, 73), (105, 77), (140, 73), (180, 69), (172, 61), (162, 57), (156, 52), (156, 60), (142, 59), (135, 54),
     (140, 48), (130, 42), (127, 36), (121, 38), (122, 30), (115, 22), (107, 20), (109, 12), (104, 9), (103, 2),
     (99, 10), (97, 17), (91, 22), (81, 16), (78, 8), (73, 18), (67, 25), (58, 25), (56, 18), (44, 13), (35, 28),
     (35, 36), (27, 37), (23, 37), (19, 42), (12, 45), (18, 40), (15, 38), (9, 44), (0, 39)),
    ((-17, 15), (-10, 31), (-5, 36), (10, 37), (20, 31), (33, 31), (38, 20), (43, 11), (51, 12), (40, -4), (40, -15),
     (33, -26), (27, -34), (18, -34), (12, -17), (13, -5), (8, 4), (-8, 4)),
    ((-9, 52), (-6, 58), (0, 53), (1, 51), (-5, 50)),
    ((131, 32), (136, 36), (141, 45), (145, 44), (141, 36), (136, 33)),
    ((95, 5), (105, -6), (115, -9), (119, -3), (118, 7), (109, 2), (104, -2)),
    ((132, -1), (150, -6), (147, -10), (138, -8)),
    ((114, -22), (122, -17), (131, -11), (137, -16), (142, -11), (153, -27), (150, -38), (140, -38), (130, -32),
     (116, -35)),
    ((44, -16), (50, -15), (47, -25), (44, -24)),
    ((167, -46), (175, -41), (178, -38), (174, -36), (170, -43)),
)  # fmt: skip


class Place(NamedTuple):
    """A point on the earth, degrees."""

    latitude: float
    longitude: float


KNOWN = {
    "us east": Place(39, -76), "us west": Place(39, -120), "us central": Place(41, -94), "us": Place(39, -97),
    "north america": Place(45, -100), "latam": Place(-15, -56), "south america": Place(-15, -56),
    "brazil": Place(-10, -52), "canada": Place(54, -106), "mexico": Place(23, -102),
    "eu west": Place(51, 0), "eu central": Place(50, 10), "eu north": Place(60, 16), "eu south": Place(42, 13),
    "eu": Place(49, 9), "europe": Place(49, 9), "emea": Place(40, 20), "uk": Place(53, -2), "france": Place(47, 2),
    "germany": Place(51, 10), "spain": Place(40, -4), "italy": Place(43, 12), "africa": Place(3, 21),
    "middle east": Place(28, 45), "india": Place(22, 79), "apac": Place(2, 108), "asia": Place(32, 105),
    "japan": Place(36, 138), "china": Place(34, 104), "australia": Place(-25, 134), "oceania": Place(-25, 134),
}  # fmt: skip
"""Names that feeds give their regions, and about the middle of what they mean."""


def place(region: str) -> Place | None:
    """Return where a region lies by its name; None where the name says nothing.

    Examples
    --------
    >>> place("US-EAST"), place("eu_west_2"), place("north")
    (Place(latitude=39, longitude=-76), Place(latitude=51, longitude=0), None)
    """
    words = re.sub(r"[^a-z]+", " ", region.lower()).strip()
    return KNOWN.get(words)


@cache
def land() -> tuple[Place, ...]:
    """Return the dots of the land, row by row from the north.

    Examples
    --------
    >>> Place(39, -99) in land(), Place(0, -30) in land()
    (True, False)
    """
    rows = int((NORTH - SOUTH) / STEP) + 1
    columns = int(360 / STEP)
    dots = (Place(NORTH - STEP * row, -180 + STEP * column) for row in range(rows) for column in range(columns))
    return tuple(dot for dot in dots if any(_inside(dot, ring) for ring in OUTLINE))


def _inside(dot: Place, ring: tuple[tuple[float, float], ...]) -> bool:
    """Say whether a dot lies inside a ring, by counting the edges west of it."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], ring[0]), strict=True):
        if (y0 > dot.latitude) != (y1 > dot.latitude):
            crossings += dot.longitude > x0 + (dot.latitude - y0) * (x1 - x0) / (y1 - y0)
    return crossings % 2 == 1
