"""The log: whatever is cut, flipped or refused, the whole records before it are read, and appending goes on."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.stream.journal import Disk, Journal

BODIES = [b"a" * n for n in (0, 1, 7, 300, 50)]


def filled(folder, **how) -> tuple[Journal, list[int]]:
    journal = Journal(folder, **how)
    return journal, [journal.append(body, at=i) for i, body in enumerate(BODIES)]


def bodies(journal: Journal, position: int = 0) -> list[bytes]:
    return [record.body for record in journal.read(position)]


def test_what_was_appended_is_read_from_any_position(tmp_path):
    journal, ends = filled(tmp_path)
    for i, end in enumerate([0, *ends]):
        assert bodies(journal, end) == BODIES[i:]
    journal.close()
    again = Journal(tmp_path)
    assert (again.end, again.synced, again.cut) == (ends[-1], ends[-1], 0)
    assert bodies(again) == BODIES
    assert [record.at for record in again.read(0)] == list(range(5))
    assert [record.end for record in again.read(0)] == ends


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_torn_or_flipped_end_costs_the_records_it_touches_and_no_other(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("log")
    journal, ends = filled(folder)
    journal.close()
    path = journal.segments()[0][1]
    whole = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(whole[:at])
    else:
        whole[at] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(whole)
    good = sum(end <= at for end in ends)
    again = Journal(folder)
    assert bodies(again) == BODIES[:good]
    assert again.end == ([0, *ends])[good]
    again.append(b"next", at=9)
    again.close()
    assert bodies(Journal(folder)) == [*BODIES[:good], b"next"]


def test_segments_follow_one_another_and_the_oldest_are_forgotten(tmp_path):
    journal, ends = filled(tmp_path, segment=60)
    assert len(journal.segments()) > 2
    assert bodies(journal) == BODIES
    assert bodies(journal, ends[2]) == BODIES[3:]
    freed = journal.forget(ends[3])
    assert freed > 0
    assert bodies(journal, ends[3]) == BODIES[4:]
    with pytest.raises(ValueError, match="this log holds"):
        next(journal.read(0))
    journal.close()
    again = Journal(tmp_path, segment=60)
    assert again.end == ends[-1]
    again.forget(10**9)
    assert len(again.segments()) == 1  # the last one stays: it is written to


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path):
    class Full(Disk):
        room = 200

        def write(self, file, data, offset):
            written = os.pwrite(file, data[: max(self.room, 0)], offset)
            self.room -= written
            if not written:
                raise OSError(errno.ENOSPC, "No space left on device")
            return written

    journal = Journal(tmp_path, disk=(disk := Full()))
    end = journal.append(b"x" * 100, at=0)
    with pytest.raises(OSError, match="No space"):
        journal.append(b"y" * 100, at=1)
    assert journal.end == end
    assert journal.segments()[0][1].stat().st_size == end
    disk.room = 10_000
    journal.append(b"z", at=2)
    assert bodies(journal) == [b"x" * 100, b"z"]


def test_sync_is_asked_for_once_for_what_is_new(tmp_path):
    class Counting(Disk):
        syncs = 0

        def sync(self, file):
            self.syncs += 1

    journal, _ = filled(tmp_path, disk=(disk := Counting()))
    assert journal.synced == 0
    assert journal.sync() == journal.end == journal.synced
    journal.sync()
    assert disk.syncs == 1


def test_a_position_beyond_the_log_is_refused(tmp_path):
    journal, ends = filled(tmp_path)
    with pytest.raises(ValueError, match=f"holds 0 to {ends[-1]}"):
        next(journal.read(ends[-1] + 1))
