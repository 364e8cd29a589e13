"""The stream over the Kafka API, for firms that run Kafka already: partitions, snapshots and blocks as on NATS.

A gateway acknowledges an event once the brokers have stored it (``acks=all``, idempotent). An owner commits no offsets:
what it has counted, which numbers have arrived, and the offset to go on from, is one record of a compacted topic,
written in a transaction under the partition's own transactional id. Whoever claims the partition takes that id, and
the broker refuses the one before (KIP-98): two owners at once are fenced by the broker, as by the revision on NATS.
Which worker owns what is the consumer group's affair; should two believe it, one of them can write.

What this was tested on: librdkafka's mock cluster, which stores and delivers but fences nobody; and Tansu, a broker
that keeps its records in memory, and does fence. Neither compacts, replicates, or survives its own end: that a record
outlives a broker is Kafka's promise, which no test here holds.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter, deque
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from attribution.stream import wire
from attribution.stream.asides import Aside, aside
from attribution.stream.gathered import Reading, gather, needed, rows_of
from attribution.stream.keeping import Refused
from attribution.stream.partitions import Partition, Plan, split
from attribution.stream.snapshots import Snapshot, pack_block, unpack, unpack_block
from attribution.stream.topics import WAIT_S, Cluster, Shelf, key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

SNAPSHOT = b"snapshot"
TRIES = 100
_SUPERSEDED = {
    KafkaError._FENCED,  # noqa: SLF001  so the client names its own errors
    KafkaError._FATAL,  # noqa: SLF001
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
}


class Superseded(RuntimeError):  # noqa: N818  not an error: another one owns the partition now
    """Another one has taken the partition: what is held in memory must be forgotten."""


class Entrance:
    """The way in: a gateway, and the sink of an HTTP door.

    Parameters
    ----------
    cluster, plan
        Where, and of what stream.
    patience_s
        Seconds after which a sender is told that the brokers do not answer.
    """

    def __init__(self, cluster: Cluster, plan: Plan, *, patience_s: float = 30.0) -> None:
        self.unread: Counter[str] = Counter()
        self.accepted = 0
        self._cluster, self._plan, self._patience_s = cluster, plan, patience_s
        self._producer = Producer(
            cluster.options(
                acks="all", enable_idempotence=True, linger_ms=2, compression_type="lz4",
                message_timeout_ms=round(1000 * patience_s), message_max_bytes=wire.LARGEST,
            )
        )  # fmt: skip
        self._ended = threading.Event()
        self._polling = threading.Thread(target=self._poll, name="kafka-acks", daemon=True)
        self._polling.start()

    def send(self, given: bytes | wire.Frame) -> Future[int]:
        """Send a frame; the future has the offset of the last of it once the brokers have stored all of it.

        Raises
        ------
        Unreadable
            The frame is counted under its reason. The future raises Refused where the brokers do not take it.
        """
        try:
            frame = wire.decode(given) if isinstance(given, bytes) else given
        except wire.Unreadable as error:
            self.unread[error.reason] += 1
            kept = aside(time.time_ns(), error.reason, str(error), bytes(given) if isinstance(given, bytes) else b"")
            with suppress(BufferError):  # it is counted all the same
                self._producer.produce(self._cluster.aside, kept.body, key=key_of(kept), partition=0)
            raise
        parts = list(split(frame, self._plan.partitions))
        done: Future[int] = Future()
        waits, last = len(parts), 0
        if not parts:
            done.set_result(0)

        def delivered(failed: KafkaError | None, message: Any) -> None:
            nonlocal waits, last
            waits -= 1
            if failed is not None and not done.done():
                done.set_exception(Refused("busy", f"the brokers do not take it ({failed.str()}); send it again"))
            elif failed is None:
                last = max(last, message.offset())
                if waits == 0 and not done.done():
                    self.accepted += len(frame)
                    done.set_result(last)

        for partition, part in parts:
            try:
                self._producer.produce(self._cluster.name, wire.frame(part), partition=partition, on_delivery=delivered)
            except BufferError:
                delivered(KafkaError(KafkaError._QUEUE_FULL), None)  # noqa: SLF001  the client's own name
        return done

    def offer(self, frame: wire.Frame) -> int:
        """Take a frame in and return once it is stored; raises Refused where it is not."""
        try:
            return self.send(frame).result(2 * self._patience_s + 2)  # the client looks at its own limit once a second
        except TimeoutError:
            raise Refused("busy", "the brokers do not answer; send it again") from None

    def close(self) -> None:
        """Send what waits."""
        self._producer.flush(self._patience_s)
        self._ended.set()
        self._polling.join()

    def _poll(self) -> None:
        while not self._ended.is_set():
            self._producer.poll(0.05)


class Owner:
    """One partition at a worker: claimed on making, saved when told to.

    Parameters
    ----------
    cluster, plan
        Where, and of what stream.
    partition
        Which.
    shelf
        Reads the state.

    Raises
    ------
    KafkaException
        When the brokers do not let it be claimed.
    """

    def __init__(self, cluster: Cluster, plan: Plan, partition: int, shelf: Shelf) -> None:
        self._cluster, self._partition, self._shelf = cluster, partition, shelf
        self._producer = Producer(
            cluster.options(
                transactional_id=f"{cluster.name}-owner-{partition}", transaction_timeout_ms=10_000,
                message_max_bytes=wire.LARGEST,
            )
        )  # fmt: skip
        self._producer.init_transactions(WAIT_S)  # from here on, the owner before us can write no more
        found = shelf.last(partition, SNAPSHOT)
        self.part = Partition(plan, unpack(found.value) if found else None)
        self._token, self._writings, self._written = uuid.uuid4().hex, 0, -1
        self._at, self._came_at = self.part.book.now, time.monotonic()
        self.save()

    def take(self, body: bytes, offset: int, at: int) -> int:
        """Count a message; the place in the stream is the offset behind it."""
        self._at, self._came_at = at, time.monotonic()
        return self.part.take(body, offset + 1, at)

    def save(self) -> None:
        """Write a snapshot where anything was counted since the last, and the blocks that it lets go.

        Raises
        ------
        Superseded
            When another one has claimed the partition.
        """
        part = self.part
        part.book.tick(self._at + round((time.monotonic() - self._came_at) * 1e9))
        for block in part.wanted():
            found = self._shelf.at(self._partition, part.filed[block])
            if found is not None:
                part.lay(block, unpack_block(found.value)[0])
        if part.position == self._written and not part.unfiled:
            return
        self._writings += 1
        data = part.snapshot(f"{self._token}/{self._writings}")
        offsets = self._write(data, {block: pack_block(rows, part.position) for block, rows in part.due.items()})
        self._written = part.position
        for block, offset in offsets.items():
            part.file(block, offset)

    def _write(self, data: bytes, blocks: Mapping[int, bytes]) -> dict[int, int]:
        """Write blocks, what is set aside, and the snapshot in one transaction, until that is done; blocks' offsets."""
        asides = list(self.part.asides)
        while True:
            offsets: dict[int, int] = {}

            def noted(block: int) -> Any:
                return lambda failed, message: None if failed else offsets.update({block: message.offset()})  # noqa: B023

            try:
                self._producer.begin_transaction()
                for block, body in blocks.items():
                    self._producer.produce(
                        self._cluster.state,
                        body,
                        key=b"%d" % block,
                        partition=self._partition,
                        on_delivery=noted(block),
                    )
                for _, kept in asides:
                    self._producer.produce(self._cluster.aside, kept.body, key=key_of(kept), partition=self._partition)
                self._producer.produce(self._cluster.state, data, key=SNAPSHOT, partition=self._partition)
                self._producer.commit_transaction(WAIT_S)
            except KafkaException as error:
                failed: KafkaError = error.args[0]
                if failed.code() in _SUPERSEDED or failed.fatal():
                    raise Superseded(f"partition {self._partition} is another one's now") from error
                if failed.txn_requires_abort():
                    self._producer.abort_transaction(WAIT_S)
                elif not failed.retriable():
                    raise
                time.sleep(0.05)
            else:
                self.part.asides.clear()
                return offsets


class Worker:
    """A process of owners; the consumer group says which partitions are its own.

    Parameters
    ----------
    cluster, plan
        Where, and of what stream.

    Attributes
    ----------
    owners
        Partition -> its owner.
    superseded
        How often another one had taken a partition.
    alerts
        The last hundred: moment (ns) and text.
    """

    def __init__(self, cluster: Cluster, plan: Plan) -> None:
        self.owners: dict[int, Owner] = {}
        self.superseded = 0
        self.alerts: deque[tuple[int, str]] = deque(maxlen=100)
        self._cluster, self._plan = cluster, plan

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; what was counted is saved then."""
        while not stop.is_set():
            shelf, consumer = Shelf(self._cluster), Consumer(
                self._cluster.options(
                    group_id=f"{self._cluster.name}-owners", enable_auto_commit=False, auto_offset_reset="earliest",
                    session_timeout_ms=6000, heartbeat_interval_ms=500, fetch_wait_max_ms=5,
                    isolation_level="read_committed",
                )
            )  # fmt: skip
            try:
                self._work(consumer, shelf, stop)
            except Superseded:
                self.superseded += 1
            except KafkaException as error:
                self.alerts.append((time.time_ns(), f"{error}; the group is joined again"))
                time.sleep(0.5)
            finally:
                self.owners.clear()  # whoever comes next counts from the last snapshot
                consumer.close()
                shelf.close()

    def _work(self, consumer: Consumer, shelf: Shelf, stop: threading.Event) -> None:
        def assigned(_: Consumer, given: list[TopicPartition]) -> None:
            self.owners = {p.partition: Owner(self._cluster, self._plan, p.partition, shelf) for p in given}
            places = {p: owner.part.position for p, owner in self.owners.items()}
            consumer.assign([TopicPartition(self._cluster.name, p, place) for p, place in places.items()])

        def revoked(_: Consumer, __: list[TopicPartition]) -> None:
            for owner in self.owners.values():
                owner.save()
            self.owners.clear()

        consumer.subscribe(
            [self._cluster.name], on_assign=assigned, on_revoke=revoked, on_lost=lambda *_: self.owners.clear()
        )
        due = time.monotonic() + self._plan.save_s
        while not stop.is_set():
            for message in consumer.consume(500, 0.005):
                owner = self.owners.get(message.partition() or 0)
                if message.error() is None and owner is not None:
                    owner.take(message.value() or b"", message.offset() or 0, 1_000_000 * message.timestamp()[1])
            if time.monotonic() >= due:
                due = time.monotonic() + self._plan.save_s
                for owner in list(self.owners.values()):
                    owner.save()
        for owner in self.owners.values():
            owner.save()


class Reader:
    """Reads a stream's counts; it owns nothing and disturbs nobody.

    Parameters
    ----------
    cluster, plan
        Where, and of what stream.
    """

    def __init__(self, cluster: Cluster, plan: Plan) -> None:
        self._cluster, self._plan = cluster, plan
        self._shelf = Shelf(cluster)

    def read(self, first: int = 0, last: int = 2**40) -> Reading:
        """Put together what is saved of the seconds ``[first, last)`` since 1970."""
        parts = {p: self._part(p, first, last) for p in range(self._plan.partitions)}
        return gather(parts, self._plan.rules)

    def asides(self) -> list[Aside]:
        """Return what could not be read and is kept, oldest first."""
        shelf = Shelf(self._cluster, self._cluster.aside)
        found = [kept for partition in range(self._plan.partitions) for kept in shelf.asides(partition)]
        shelf.close()
        return sorted(found)

    def close(self) -> None:
        """Hold no connection."""
        self._shelf.close()

    def _part(self, partition: int, first: int, last: int) -> tuple[Snapshot, dict[int, np.ndarray]]:
        for _ in range(TRIES):
            found = self._shelf.last(partition, SNAPSHOT)
            snapshot = unpack(found.value if found else Partition(self._plan).look("none"))
            wanted = needed(snapshot, first, last, self._plan.block_s)
            blocks = [self._shelf.at(partition, offset) for offset in wanted.values()]
            held = [unpack_block(block.value)[0] for block in blocks if block is not None]
            if len(held) == len(blocks):
                return snapshot, rows_of(snapshot, held, first, last)
        raise OSError(f"partition {partition} changes faster than it can be read; read fewer seconds at once")
