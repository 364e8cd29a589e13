"""``attribution stream``: brokers, workers and doors of a stream that several processes share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from attribution.console import clean, out, remark
from attribution.onair import token
from attribution.options import EXIT_CODES, Kind, Zone, moment, one_sentence

if TYPE_CHECKING:
    from attribution.stream.broker import Broker

streams = typer.Typer(
    help="A stream that several processes share, on NATS: every event counted once, whatever ends meanwhile.",
    no_args_is_help=True,
)
Folder = Annotated[Path, typer.Option("--dir", metavar="DIR", help="Holds our own brokers' data, and who was started.")]
Servers = Annotated[
    list[str] | None,
    typer.Option("--server", metavar="URL", help="A broker of your own cluster: nats:// or tls://; may be repeated."),
]
Name = Annotated[str, typer.Option("--stream", metavar="NAME", help="Of the stream on the brokers.")]
Credentials = Annotated[Path | None, typer.Option(help="File of NATS credentials: .creds, or user:password.")]
Authority = Annotated[Path | None, typer.Option("--ca", help="Whom TLS trusts; by default whom the system does.")]
Certificate = Annotated[Path | None, typer.Option(help="Ours, where the broker asks for one.")]
Key = Annotated[Path | None, typer.Option(help="Its key.")]
DIR = Path("stream")


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What the options say of the brokers."""

    folder: Path
    server: list[str] | None
    name: str
    credentials: Path | None
    ca: Path | None
    certificate: Path | None
    key: Path | None

    def broker(self) -> Broker:
        """Return where they are: those named, or our own that were started."""
        from attribution.stream.broker import Broker
        from attribution.stream.servers import recall

        servers = tuple(self.server or [each.url for each in recall(self.folder)[0]])
        return Broker(
            servers=servers, name=self.name, credentials=self.credentials, ca=self.ca, certificate=self.certificate,
            key=self.key,
        )  # fmt: skip

    def options(self, servers: tuple[str, ...]) -> list[str]:
        """Return the options with which a worker finds the same brokers."""
        told = [part for url in servers for part in ("--server", url)] + ["--stream", self.name]
        for option, path in (
            ("--credentials", self.credentials),
            ("--ca", self.ca),
            ("--certificate", self.certificate),
            ("--key", self.key),
        ):
            told += [option, str(path)] if path is not None else []
        return told


@streams.callback()
def found(
    context: typer.Context,
    *,
    folder: Folder = DIR,
    server: Servers = None,
    name: Name = "ev",
    credentials: Credentials = None,
    ca: Authority = None,
    certificate: Certificate = None,
    key: Key = None,
) -> None:
    """Note where the brokers are; the options stand before the command."""
    context.obj = Where(
        folder=folder, server=server, name=name, credentials=credentials, ca=ca, certificate=certificate, key=key
    )


@streams.command(epilog=EXIT_CODES)
def up(
    context: typer.Context,
    *,
    workers: Annotated[int, typer.Option(min=0, help="Processes that count; they share the partitions.")] = 2,
    replicas: Annotated[int, typer.Option(help="Brokers that keep each message: 1, or 3 that may lose one.")] = 1,
    partitions: Annotated[int, typer.Option(help="Parts of the stream; it stays so.")] = 8,
    port: Annotated[int, typer.Option(help="Of our own first broker; 0 takes a free one.")] = 0,
) -> None:
    """Start brokers (or use yours), make the stream, start workers. What runs already is left running."""
    from attribution.stream.cluster import brokers, hire, make
    from attribution.stream.partitions import Plan

    where: Where = context.obj
    with one_sentence():
        where.folder.mkdir(parents=True, exist_ok=True)
        if not where.server:
            brokers(where.folder, replicas=replicas, port=port)
        broker = where.broker()
        asyncio.run(make(broker, Plan(partitions=partitions), replicas=replicas))
        hired = hire(where.folder, where.options(broker.servers), workers)
        remark(f"{len(hired)} worker{'s' * (len(hired) != 1)} on {', '.join(broker.servers)}")
        remark("next: attribution stream gateway, attribution stream status")


@streams.command(epilog=EXIT_CODES)
def down(context: typer.Context) -> None:
    """End the workers and brokers that were started here. Their data stay, and `up` goes on from them."""
    from attribution.stream.cluster import end

    where: Where = context.obj
    with one_sentence():
        ended = end(where.folder)
        remark(f"{ended} process{'es' * (ended != 1)} ended; {where.folder} keeps what they counted")


@streams.command(epilog=EXIT_CODES)
def status(context: typer.Context) -> None:
    """Say what is stored, what is counted, and who counts. Exit code 1 where a partition has no owner."""
    from attribution.stream.cluster import standing

    where: Where = context.obj
    with one_sentence():
        found = asyncio.run(standing(where.broker()))
        book = found.reading.book
        kept = f"{found.stored_bytes / 1e6:,.1f} MB on {found.replicas} broker{'s' * (found.replicas != 1)}"
        other = {"missing": book.gaps.dropped} | {name: book.totals[name] for name in ("repeated", "late")}
        lines = [
            f"stored: {found.stored:,} messages, {kept}; the last is number {found.last:,}",
            f"counted: {book.totals['received']:,} events; {', '.join(f'{n:,} {name}' for name, n in other.items())}",
        ]
        lines += [f"set aside: {many:,} ({reason})" for reason, many in sorted(book.aside.items())]
        lines += [
            f"{worker['name']}: partitions {', '.join(sorted(worker['partitions'], key=int)) or 'none'}; "
            f"{worker['events_per_s']:,.0f} events/s"
            for worker in found.workers
        ]
        for line in lines:
            out().print(Text(clean(line)))
        if found.unowned:
            raise ValueError(
                f"{len(found.unowned)} of {found.plan.partitions} partitions have no owner; start workers with "
                "`attribution stream up`"
            )


@streams.command(epilog=EXIT_CODES)
def worker(
    context: typer.Context,
    *,
    called: Annotated[str | None, typer.Option("--name", help="Of this worker; drawn by default.")] = None,
) -> None:
    """Count in this process, until it is told to end. Any number of them, on any machines, share the partitions."""
    from attribution.stream.cluster import work

    where: Where = context.obj
    with one_sentence():
        asyncio.run(work(where.broker(), called))


@streams.command(epilog=EXIT_CODES)
def gateway(
    context: typer.Context,
    *,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the HTTP door stands.")] = "127.0.0.1:8600",
    token_file: Annotated[Path | None, typer.Option(help="Holds the token that senders must show.")] = None,
) -> None:
    """Take events in over HTTP (POST /v1/events); a request is answered once the brokers have stored its events."""
    from attribution.stream.cluster import admit
    from attribution.stream.door import LOCAL

    where: Where = context.obj
    with one_sentence():
        host, _, port = listen.rpartition(":")
        host = host.strip("[]") or "127.0.0.1"
        if not port.isdecimal() or int(port) > 65_535:
            raise ValueError(f"--listen is {listen!r}; write HOST:PORT, e.g. 127.0.0.1:8600")
        if token_file is None and host not in LOCAL:
            raise ValueError(f"{listen} is open to others; give --token-file FILE, or listen on 127.0.0.1:{port}")
        shown = None if token_file is None else token(token_file)
        asyncio.run(admit(where.broker(), host, int(port), shown, remark))


@streams.command(epilog=EXIT_CODES)
def counts(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV that `attribution analyze` reads.")],
    *,
    start: Annotated[str, typer.Option("--from", metavar="MOMENT")],
    until: Annotated[str, typer.Option("--until", metavar="MOMENT")],
    kind: Kind = None,
    tz: Zone = None,
) -> None:
    """Write what is counted by now, second by second."""
    from attribution.stream.cluster import counted

    where: Where = context.obj
    with one_sentence():
        first, last = (
            int(moment(text, tz, option).timestamp()) for text, option in ((start, "--from"), (until, "--until"))
        )
        if not first < last:
            raise ValueError(f"--until is {until}; choose a moment after --from, which is {start}")
        found = asyncio.run(counted(where.broker(), first, last)).counts(first, last, kind=kind or "conversion")
        found.to_frame().to_csv(file, index=False)
        remark(f"{file}: {found.values.sum():,.0f} events in {last - first:,} seconds")


@streams.command(epilog=EXIT_CODES)
def aside(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for it.")],
) -> None:
    """Write out what could not be read: each message as it came, and a table of reasons."""
    from attribution.stream.asides import write_asides
    from attribution.stream.cluster import asides

    where: Where = context.obj
    with one_sentence():
        many = write_asides(asyncio.run(asides(where.broker())), folder)
        remark(f"{folder}: {many:,} message{'s' * (many != 1)} that could not be read, and asides.csv with the reasons")
