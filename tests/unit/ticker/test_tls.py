"""TLS: a server that cannot prove its name does not get a byte of the query; and no secret is shown anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import logging
import ssl
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import picows
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.ticker.broker import KEY, QUICK, SECRET, TOKEN, Broker, Recorder, running, until
from tickloom import AuthenticationFailed
from tickloom.ticker import Settings, TickerClient

PIECES = [KEY, TOKEN, "canary"]


class Authority:
    """A certificate authority for one test run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        self.path = folder / "authority.pem"
        self.path.write_bytes(self._sign(self.name, self.key, None, days=1).public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, host: x509.GeneralName | None, days: int,
        *, itself: bool = False,
    ) -> x509.Certificate:  # fmt: skip
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if itself else self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([host]), critical=False)
        return builder.sign(key if itself else self.key, hashes.SHA256())

    def server(self, host: x509.GeneralName, *, days: int = 1, itself: bool = False) -> ssl.SSLContext:
        """A server's context with a certificate for a host."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        certificate = self._sign(name, key, host, days, itself=itself)
        path = self.folder / "server.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@contextlib.contextmanager
def serving(
    context: ssl.SSLContext, handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> Iterator[int]:
    """A TLS server on a thread; its port."""
    ready, stop = threading.Event(), threading.Event()
    port: list[int] = []

    async def serve() -> None:
        async with await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context) as server:
            port.append(server.sockets[0].getsockname()[1])
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    try:
        yield port[0]
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def plaintext_of(context: ssl.SSLContext) -> Iterator[tuple[int, list[bytes]]]:
    """A TLS server on a thread; its port, and every byte that a client ever sent through it."""
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            seen.append(await reader.read(65_536))
        writer.close()

    with serving(context, handle) as port:
        yield port, seen


@pytest.mark.parametrize("fault", ["self-signed", "unknown authority", "wrong host", "expired"])
def test_a_server_that_cannot_prove_its_name_gets_no_byte_of_the_query(authority: Authority, fault: str) -> None:
    host = x509.DNSName("elsewhere.example") if fault == "wrong host" else LOOPBACK
    server = authority.server(host, days=-1 if fault == "expired" else 1, itself=fault == "self-signed")
    trusted = ssl.create_default_context(cafile=None if fault == "unknown authority" else authority.path)

    async def main(port: int) -> None:
        sink = Recorder()
        client = TickerClient(f"wss://127.0.0.1:{port}", credentials=SECRET, settings=QUICK, ssl_context=trusted)
        async with running(client, sink):
            await until(lambda: sink.states.count("waiting") == 3)
        assert "connected" not in sink.states
        assert "certificate is not valid" in sink.events[1].reason

    with plaintext_of(server) as (port, seen):
        asyncio.run(main(port))
    assert b"".join(seen) == b""


def test_the_default_context_refuses_a_self_signed_certificate(authority: Authority) -> None:
    async def main(port: int) -> None:
        sink = Recorder()
        async with running(TickerClient(f"wss://127.0.0.1:{port}", credentials=SECRET, settings=QUICK), sink):
            await until(lambda: "waiting" in sink.states)
        assert "certificate is not valid" in sink.events[1].reason

    with plaintext_of(authority.server(LOOPBACK, itself=True)) as (port, seen):
        asyncio.run(main(port))
    assert b"".join(seen) == b""


def test_the_witness_of_these_tests_sees_a_query_that_is_sent(authority: Authority) -> None:
    async def main(port: int) -> None:
        trusted = ssl.create_default_context(cafile=authority.path)
        client = TickerClient(f"wss://127.0.0.1:{port}", credentials=SECRET, settings=QUICK, ssl_context=trusted)
        sink = Recorder()
        async with running(client, sink):
            await until(lambda: "waiting" in sink.states)

    with plaintext_of(authority.server(LOOPBACK)) as (port, seen):
        asyncio.run(main(port))
    assert TOKEN.encode() in b"".join(seen)


def test_a_server_that_proves_its_name_is_used(authority: Authority) -> None:
    async def main() -> None:
        trusted = ssl.create_default_context(cafile=authority.path)
        async with Broker().running(authority.server(LOOPBACK)) as broker:
            sink = Recorder()
            client = TickerClient(broker.url, credentials=SECRET, settings=QUICK, ssl_context=trusted)
            client.subscribe([408065], "full")
            async with running(client, sink):
                await until(lambda: broker.table == {408065: "full"})
                await asyncio.sleep(0.5)
                assert sink.states == ["connecting", "connected"]
                broker.clients[0].transport.disconnect(graceful=False)
                await until(lambda: broker.served == 2 and broker.table == {408065: "full"})
                broker.silent = True
                await until(lambda: sink.states.count("disconnected") == 2)

    asyncio.run(main())


def test_a_context_that_does_not_verify_must_be_asked_for_by_name() -> None:
    unsafe = ssl.create_default_context()
    unsafe.check_hostname = False
    with pytest.raises(ValueError, match="does not verify the server"):
        TickerClient("wss://127.0.0.1", credentials=SECRET, ssl_context=unsafe)
    unsafe.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="does not verify the server"):
        TickerClient("wss://127.0.0.1", credentials=SECRET, ssl_context=unsafe)
    TickerClient(
        "wss://127.0.0.1", credentials=SECRET, ssl_context=unsafe, settings=Settings(allow_unverified_tls=True)
    )


def test_no_event_log_repr_or_traceback_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    # Level 1: below DEBUG, where transports write their requests.
    caplog.set_level(1)
    logging.getLogger("picows").setLevel(1)
    logging.getLogger("tickloom").setLevel(1)
    sink = Recorder()
    shown: list[str] = []
    query = f"/?api_key={KEY}&access_token={TOKEN}"

    async def main() -> None:
        async with Broker().running() as broker:
            answers = iter([
                picows.WSUpgradeResponse.create_redirect_response(302, f"http://h{query}"),
                picows.WSUpgradeResponse.create_error_response(500, query.encode(), {"X": query}),
                picows.WSUpgradeResponse.create_error_response(403, query.encode()),
            ])  # fmt: skip
            broker.refusal = lambda: next(answers, None)

            def provider() -> object:
                raise ValueError(query)

            settings = Settings(backoff_base=0.01, backoff_cap=0.02, token_poll=0.05)
            client = TickerClient(broker.url, credentials=SECRET, settings=settings, token_provider=provider)
            client.subscribe([408065], "full")
            async with running(client, sink):
                await until(lambda: "authentication_failed" in sink.states)
                await asyncio.sleep(0.1)
                client.set_credentials(SECRET.with_token("canary-second"))
                await until(client.connected)
                broker.clients[0].transport.send_close(
                    picows.WSCloseCode.INTERNAL_ERROR, f"no {TOKEN}{KEY}".encode()[:99]
                )
                broker.clients[0].transport.disconnect()
                await until(lambda: "disconnected" in sink.states)
                await until(client.connected)
                shown.extend(map(repr, (client, client.settings, client.account_of(0), *client._links.values())))
                shown.extend(repr(task) for task in asyncio.all_tasks())
        closed = TickerClient("ws://127.0.0.1:1", credentials=SECRET, settings=QUICK)
        async with running(closed, sink):
            await until(lambda: sink.states[-1] == "waiting")
        refused = TickerClient(broker.url, credentials=SECRET, settings=Settings(raise_authentication_failed=True))
        try:
            await refused_run(refused)
        except AuthenticationFailed:
            shown.append(traceback.format_exc())

    async def refused_run(client: TickerClient) -> None:
        async with Broker().running() as broker:
            broker.accepts = "other"
            client.url = broker.url
            await client.run(sink)

    asyncio.run(main(), debug=True)
    # The broker of this test, which is no part of the package, writes what it reads.
    ours = [record for record in caplog.records if not record.name.startswith("picows.server")]
    assert len(ours) > 20
    shown += [record.getMessage() for record in ours] + [repr(event) for event in sink.events]
    assert any("AuthenticationFailed" in text for text in shown)
    assert [text for text in shown for piece in PIECES if piece in text] == []
