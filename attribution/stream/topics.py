"""The Kafka API as far as a stream needs it: where the brokers are, the topics, single records of a compacted one."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from attribution.stream.asides import ROOM, Aside
from attribution.stream.book import Rules
from attribution.stream.partitions import Plan

try:
    from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic  # pyright: ignore[reportPrivateImportUsage]
except ImportError as error:
    raise ImportError("Kafka needs the extra `kafka`: pip install 'event-command[kafka]'") from error

if TYPE_CHECKING:
    from collections.abc import Mapping

WAIT_S = 20.0
"""For a broker's answer, before it is an error."""


class Record(NamedTuple):
    """A record of the state: where it stands, what it is, and what it holds."""

    offset: int
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where the brokers are.

    Attributes
    ----------
    servers
        ``host:port``, several with commas.
    name
        Of the topic of events; beside it stand ``NAME-state``, ``NAME-plan`` and ``NAME-aside``.
    settings
        Anything else librdkafka takes: ``security.protocol``, ``sasl.*``, ``ssl.ca.location``, ...
    """

    servers: str
    name: str = "ev"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Topic of the snapshots and blocks."""
        return f"{self.name}-state"

    @property
    def aside(self) -> str:
        """Topic of what could not be read."""
        return f"{self.name}-aside"

    def options(self, **more: Any) -> dict[str, Any]:
        """Return what a client takes; names with ``_`` for dots."""
        told = {name.replace("_", "."): value for name, value in more.items()}
        return {"bootstrap.servers": self.servers, "log_level": 0, **told, **self.settings}

    def make(self, plan: Plan, *, replicas: int = 1) -> Plan:
        """Make the topics, or find them; returns the plan they were made with.

        Raises
        ------
        ValueError
            When they were made with another plan. Also KafkaException, when the brokers refuse.
        """
        admin = AdminClient(self.options())
        compact, few = {"cleanup.policy": "compact"}, {"retention.bytes": str(ROOM)}
        topics = [
            NewTopic(self.name, num_partitions=plan.partitions, replication_factor=replicas),
            NewTopic(self.state, num_partitions=plan.partitions, replication_factor=replicas, config=compact),
            NewTopic(self.aside, num_partitions=plan.partitions, replication_factor=replicas, config=few),
            NewTopic(f"{self.name}-plan", num_partitions=1, replication_factor=replicas, config=compact),
        ]
        for made in admin.create_topics(topics).values():
            try:
                made.result(WAIT_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
        found = Shelf(self, f"{self.name}-plan").last(0, b"plan")
        if found is None:
            producer = Producer(self.options(acks="all"))
            producer.produce(f"{self.name}-plan", json.dumps(asdict(plan)).encode(), key=b"plan", partition=0)
            if producer.flush(WAIT_S):
                raise OSError(f"the brokers at {self.servers} do not answer; start them, or name others")
            return plan
        if _plan(found.value) != plan:
            raise ValueError(f"the topic {self.name!r} was made with {_plan(found.value)}; use another name")
        return plan

    def plan(self) -> Plan:
        """Return what the topics were made with; raises ValueError where there are none."""
        found = Shelf(self, f"{self.name}-plan").last(0, b"plan")
        if found is None:
            raise ValueError(f"there is no stream {self.name!r} at {self.servers}; make it first")
        return _plan(found.value)


def key_of(given: Aside) -> bytes:
    """Write what is said of a message that could not be read; the message itself is the record's value."""
    return json.dumps([given.at, given.reason, given.detail]).encode()


def _plan(written: bytes) -> Plan:
    told = json.loads(written)
    return Plan(**told | {"rules": Rules(**told["rules"])})


class Shelf:
    """Reads single records of a compacted topic, committed ones alone.

    Parameters
    ----------
    cluster
        Where.
    topic
        Of the state, by default.
    """

    def __init__(self, cluster: Cluster, topic: str | None = None) -> None:
        self._topic = topic or cluster.state
        self._consumer = Consumer(
            cluster.options(
                group_id=f"{cluster.name}-reader-{uuid.uuid4().hex[:8]}", isolation_level="read_committed",
                enable_auto_commit=False, auto_offset_reset="earliest", enable_partition_eof=True,
                fetch_wait_max_ms=20, fetch_error_backoff_ms=50,
            )
        )  # fmt: skip

    def last(self, partition: int, key: bytes) -> Record | None:
        """Return the last record of a key: it stands near the end, as snapshots are written all the time."""
        low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=WAIT_S)
        back = 16
        while True:
            begin = max(low, high - back)
            found = [record for record in self._read(partition, begin) if record.key == key]
            if found:
                return found[-1]
            if begin <= low:
                return None
            back *= 8

    def at(self, partition: int, offset: int) -> Record | None:
        """Return the record of an offset; None where it is compacted away: the key was written anew."""
        found = self._read(partition, offset, most=1)
        return found[0] if found and found[0].offset == offset else None

    def asides(self, partition: int) -> list[Aside]:
        """Return what was set aside in a partition and is kept, oldest first."""
        low, _ = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=WAIT_S)
        return [Aside(*json.loads(record.key), body=record.value) for record in self._read(partition, low)]

    def close(self) -> None:
        """Hold no connection."""
        self._consumer.close()

    def _read(self, partition: int, begin: int, most: int = 2**62) -> list[Record]:
        """Return the records from an offset to the end."""
        found: list[Record] = []
        until = time.monotonic() + WAIT_S
        self._consumer.assign([TopicPartition(self._topic, partition, begin)])
        try:
            while len(found) < most and time.monotonic() < until:
                message = self._consumer.poll(0.2)
                if message is None:
                    continue
                failed = message.error()
                if failed is None:
                    found.append(Record(message.offset() or 0, message.key() or b"", message.value() or b""))
                elif failed.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  the client's own name
                    return found
                elif not failed.retriable() and failed.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise KafkaException(failed)
        finally:
            self._consumer.unassign()
        return found
