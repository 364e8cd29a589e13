"""Reading a stream on NATS: the partitions' snapshots and blocks, each at one place of the stream, put together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nats.errors import Error as NatsError

from attribution.stream.gathered import Reading, gather, needed, rows_of
from attribution.stream.partitions import Partition
from attribution.stream.snapshots import Snapshot, unpack, unpack_block

if TYPE_CHECKING:
    import numpy as np

    from attribution.stream.nats import Found, Stream
    from attribution.stream.partitions import Plan

TRIES = 100
BLOCKS = 4096
"""Blocks that are kept in memory: a block that was not written anew is not asked for again."""


class Reader:
    """Reads a stream's counts; it owns nothing and disturbs nobody.

    Parameters
    ----------
    stream
        Open.
    plan
        Of the stream.
    """

    def __init__(self, stream: Stream, plan: Plan) -> None:
        self._stream, self._plan = stream, plan
        self._shelf = stream.shelf()
        self._blocks: dict[tuple[int, int, int], dict[int, np.ndarray]] = {}

    async def read(self, first: int = 0, last: int = 2**40, *, fresh: bool = False) -> Reading:
        """Put together what is counted in the seconds ``[first, last)`` since 1970.

        Parameters
        ----------
        first, last
            Seconds; blocks beyond the age at which events are set aside are not read.
        fresh
            Ask the owners for what they have counted by now; else what they have saved.
        """
        found = await asyncio.gather(*(self._part(p, first, last, fresh) for p in range(self._plan.partitions)))
        return gather(dict(enumerate(found)), self._plan.rules)

    async def _part(self, partition: int, first: int, last: int, fresh: bool) -> tuple[Snapshot, dict[int, np.ndarray]]:
        """One partition: a snapshot, and blocks in the very writing that it goes with."""
        for attempt in range(TRIES):
            snapshot = await self._snapshot(partition, fresh)
            wanted = needed(snapshot, first, last, self._plan.block_s)
            blocks = [await self._block(partition, block, revision) for block, revision in wanted.items()]
            found = [rows for rows in blocks if rows is not None]
            if len(found) == len(blocks):
                return snapshot, rows_of(snapshot, found, first, last)
            await asyncio.sleep(0.01 * (1 + attempt))  # a block was written anew: the next snapshot knows it
        raise OSError(f"partition {partition} changes faster than it can be read; read fewer seconds at once")

    async def _snapshot(self, partition: int, fresh: bool) -> Snapshot:
        if fresh:
            try:
                answer = await self._stream.nc.request(f"{self._stream.broker.name}-now.{partition}", timeout=0.5)
                return unpack(answer.data)
            except (OSError, NatsError):
                pass  # nobody owns it at the moment: what was saved stands
        found: Found | None = await self._shelf.get(f"p{partition}")
        return unpack(found.data if found else Partition(self._plan).look("none"))

    async def _block(self, partition: int, block: int, revision: int) -> dict[int, np.ndarray] | None:
        """Rows of a block in the writing of that revision; None where it was written anew since."""
        key = (partition, block, revision)
        if key not in self._blocks:
            found = await self._shelf.get(f"p{partition}.{block}")
            if found is None or found.revision != revision:
                return None
            while len(self._blocks) >= BLOCKS:
                self._blocks.pop(next(iter(self._blocks)))
            self._blocks[key] = unpack_block(found.data)[0]
        return self._blocks[key]
