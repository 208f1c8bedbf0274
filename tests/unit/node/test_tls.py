"""A member's client port and peer links with TLS, and the certificates that they accept."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from splitbrain.harness.systems.tls.certificates import Authority
from splitbrain.node.api.v3_service import Api
from splitbrain.node.config import Config, ConfigError
from splitbrain.node.messages.current_client import CALLER, Caller
from splitbrain.node.messages.errors import Code, RpcError
from splitbrain.node.real.client_port import serve
from splitbrain.node.real.network import RealNetwork
from splitbrain.node.real.tls import Tls
from splitbrain.node.tls_settings import TlsSettings
from tests.conformance.server_pair import free_port
from tests.unit.api.lone_member import LoneMember
from tests.unit.api.test_grpc_server import Client


class Certificates:
    """An authority, with the certificates of a member and of two clients, and another authority."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.stranger = Authority(folder, "stranger")
        self.member = self.authority.issue("member")
        self.alice = self.authority.issue("alice", ["alice.example"])
        self.mallory = self.stranger.issue("mallory")

    def settings(self, **given: Any) -> TlsSettings:
        return replace(
            TlsSettings(cert_file=str(self.member.cert), key_file=str(self.member.key)), **given
        )

    def verifying(self, **given: Any) -> TlsSettings:
        return self.settings(trusted_ca_file=str(self.authority.cert), **given)

    def channel(self, port: int, name: str = "", authority: str = "ca") -> grpc.aio.Channel:
        def read(file: str) -> bytes:
            return (self.authority.cert.parent / file).read_bytes()

        credentials = grpc.ssl_channel_credentials(
            read(f"{authority}.pem"),
            read(f"{name}.key") if name else None,
            read(f"{name}.pem") if name else None,
        )
        return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials)

    def context(self, name: str = "") -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.cert))
        if name:
            folder = self.authority.cert.parent
            context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


LogLine = tuple[str, dict[str, object]]


def serving(
    settings: TlsSettings,
    act: Callable[[int], Awaitable[None]],
    *,
    api: Api | None = None,
    run: Callable[..., Any] = uvloop.run,
) -> list[LogLine]:
    """Run `act` with the port of a member, and return the lines of the member's log."""
    lines: list[LogLine] = []

    def log(level: str, message: str, **fields: object) -> None:
        lines.append((message, fields))

    async def work() -> None:
        port = free_port()
        url = f"https://127.0.0.1:{port}"
        listening = await serve(url, api or Api(LoneMember()), log, tls=Tls(settings, log))
        try:
            async with asyncio.timeout(30):
                await act(port)
        finally:
            await listening.close()

    run(work())
    return lines


async def get(port: int, context: ssl.SSLContext | None, *, path: str = "/health") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


async def put(channel: grpc.aio.Channel) -> None:
    async with channel:
        assert (await Client(channel).put(b"k", b"v" * 100_000)).header.revision


async def grpc_refused(channel: grpc.aio.Channel) -> None:
    async with channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await Client(channel).put(b"k", timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def http_refused(port: int, context: ssl.SSLContext | None) -> None:
    try:
        answer = await get(port, context)
    except (ssl.SSLError, ConnectionError):
        answer = b""
    assert answer == b""


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_one_port_serves_both_carriers_with_tls(
    run: Callable[..., Any], certificates: Certificates
) -> None:
    async def act(port: int) -> None:
        await put(certificates.channel(port))
        assert (await get(port, certificates.context())).startswith(b"HTTP/1.1 200")

    assert serving(certificates.settings(), act, run=run) == []


def test_a_client_that_offers_both_protocols_gets_http_1(certificates: Certificates) -> None:
    async def act(port: int) -> None:
        for offered, chosen in ((["h2", "http/1.1"], "http/1.1"), (["h2"], "h2")):
            context = certificates.context()
            context.set_alpn_protocols(offered)
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            secure = writer.get_extra_info("ssl_object")
            assert secure.selected_alpn_protocol() == chosen
            writer.close()

    serving(certificates.settings(), act)


def test_a_client_that_trusts_another_authority_does_not_connect(
    certificates: Certificates,
) -> None:
    async def act(port: int) -> None:
        await grpc_refused(certificates.channel(port, authority="stranger"))

    lines = serving(certificates.settings(), act)
    assert {text for text, _ in lines} == {"rejected connection"}


@pytest.mark.parametrize("name", ["", "mallory"])
def test_a_client_without_an_accepted_certificate_is_refused(
    name: str, certificates: Certificates
) -> None:
    async def act(port: int) -> None:
        await put(certificates.channel(port, "alice"))
        assert b"200 OK" in await get(port, certificates.context("alice"))
        await grpc_refused(certificates.channel(port, name))
        await http_refused(port, certificates.context(name))

    lines = serving(certificates.verifying(), act)
    assert {text for text, _ in lines} == {"rejected connection"}


def test_plain_text_at_a_tls_port_gives_one_line(certificates: Certificates) -> None:
    async def act(port: int) -> None:
        await http_refused(port, None)

    ((text, fields),) = serving(certificates.settings(), act)
    assert text == "rejected connection"
    assert str(fields["client"]).startswith("127.0.0.1:")
    assert "HTTP" in str(fields["why"]).upper()


def test_the_common_name_is_the_user_only_if_certificates_authenticate(
    certificates: Certificates,
) -> None:
    seen: list[Caller] = []
    api = Api(LoneMember())

    async def note(_request: Any) -> Any:
        seen.append(CALLER.get())
        raise RpcError(Code.NOT_FOUND, "noted")

    api.methods["/v3/kv/put"] = note

    async def act(port: int) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match="noted"):
            await put(certificates.channel(port, "alice"))

    serving(certificates.verifying(client_cert_auth=True), act, api=api)
    serving(certificates.verifying(), act, api=api)
    assert seen == [Caller("grpc", common_name="alice"), Caller("grpc")]


@pytest.mark.parametrize(
    ("settings", "accepted"),
    [
        ({"allowed_hostname": "alice.example"}, True),
        ({"allowed_hostname": "bob.example"}, False),
        ({"allowed_cn": "alice"}, True),
        ({"allowed_cn": "bob"}, False),
    ],
)
def test_only_the_allowed_names_are_accepted(
    settings: dict[str, Any], *, accepted: bool, certificates: Certificates
) -> None:
    async def act(port: int) -> None:
        if accepted:
            await put(certificates.channel(port, "alice"))
        else:
            await grpc_refused(certificates.channel(port, "alice"))

    lines = serving(certificates.verifying(**settings), act)
    assert bool(lines) is not accepted


def crl_of(authority: Authority, revoked: Path, encoding: Encoding, *, days: int = 10) -> bytes:
    """A list with the certificate `revoked`, which ends `days` days from now."""
    now = datetime.now(UTC)
    serial = x509.load_pem_x509_certificate(revoked.read_bytes()).serial_number
    issuer = x509.load_pem_x509_certificate(authority.cert.read_bytes()).subject
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer)
    builder = builder.last_update(now - timedelta(days=99)).next_update(now + timedelta(days=days))
    one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
    signed = builder.add_revoked_certificate(one).sign(
        ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
    )
    return signed.public_bytes(encoding)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("days", [10, -10])
def test_a_revoked_certificate_is_refused(tmp_path: Path, encoding: Encoding, days: int) -> None:
    certificates = Certificates(tmp_path)
    certificates.authority.issue("bob")
    crl = tmp_path / "crl"
    crl.write_bytes(crl_of(certificates.stranger, certificates.alice.cert, encoding, days=days))

    async def act(port: int) -> None:
        await grpc_refused(certificates.channel(port, "alice"))
        await http_refused(port, certificates.context("alice"))
        await put(certificates.channel(port, "bob"))
        crl.write_bytes(b"unusable")  # the former list is kept
        await http_refused(port, certificates.context("alice"))
        crl.write_bytes(crl_of(certificates.stranger, tmp_path / "bob.pem", encoding))
        await put(certificates.channel(port, "alice"))
        await http_refused(port, certificates.context("bob"))

    lines = serving(certificates.verifying(crl_file=str(crl)), act)
    assert {fields["why"] for text, fields in lines if text == "rejected connection"} == {
        "the certificate is revoked"
    }
    assert "cannot load the changed certificates" in [text for text, _ in lines]


def test_a_changed_certificate_is_used_by_the_next_connection(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)

    async def act(port: int) -> None:
        await put(certificates.channel(port))
        certificates.stranger.issue("member")
        await put(certificates.channel(port, authority="stranger"))
        certificates.member.cert.write_text("")  # an unusable file changes nothing
        await put(certificates.channel(port, authority="stranger"))

    lines = serving(certificates.settings(), act)
    assert [text for text, _ in lines] == ["cannot load the changed certificates"]


@pytest.mark.parametrize("file", ["cert_file", "trusted_ca_file", "crl_file"])
def test_a_file_that_cannot_be_used_is_named(file: str, certificates: Certificates) -> None:
    changed: dict[str, Any] = {file: "/nowhere/x.pem"}
    settings = replace(certificates.verifying(), **changed)
    with pytest.raises(ConfigError, match=r"/nowhere/x.pem.* cannot be used: No such file"):
        Tls(settings, lambda *_, **__: None)


def test_a_self_signed_certificate_is_made_once(tmp_path: Path) -> None:
    async def read() -> bytes:
        port = free_port()
        url = f"https://127.0.0.1:{port}"
        network = RealNetwork(Random(1), lambda *_, **__: None)
        network.configure(config(tmp_path, client_urls=(url,), client=TlsSettings(auto=True)))
        listening = await network.serve_clients(url, Api(LoneMember()))
        made = (tmp_path / "fixtures/client/cert.pem").read_bytes()
        try:
            async with grpc.aio.secure_channel(
                f"127.0.0.1:{port}", grpc.ssl_channel_credentials(made)
            ) as channel:
                await Client(channel).put(b"k")
        finally:
            await listening.close()
        return made

    assert uvloop.run(read()) == uvloop.run(read())


# --- peers ------------------------------------------------------------------------------


def config(
    folder: Path,
    *,
    client_urls: tuple[str, ...] = (),
    client: TlsSettings | None = None,
    peer: TlsSettings | None = None,
) -> Config:
    return Config(
        name="n1",
        data_dir=str(folder),
        initial_cluster=(),
        listen_client_urls=client_urls,
        advertise_client_urls=client_urls,
        listen_peer_urls=("https://127.0.0.1:1",),
        client_tls=client or TlsSettings(),
        peer_tls=peer or TlsSettings(flag_prefix="--peer-"),
    )


def delivers(
    folder: Path, listening: TlsSettings, dialling: TlsSettings
) -> tuple[bool, list[LogLine]]:
    """Send a frame from one member to another. Return whether it arrives, and both members' logs.
    """
    lines: list[LogLine] = []

    def log(level: str, message: str, **fields: object) -> None:
        lines.append((message, fields))

    async def work() -> bool:
        networks = [RealNetwork(Random(1), log) for _ in range(2)]
        for network, settings in zip(networks, (listening, dialling), strict=True):
            network.configure(config(folder, peer=settings))
        arrived = asyncio.Event()

        def accept(hello: bytes) -> Callable[[bytes], None]:
            assert hello == b"hello"
            return lambda _frame: arrived.set()

        url = f"https://127.0.0.1:{free_port()}"
        server = await networks[0].listen_peers(url, accept)
        link = networks[1].dial_peer(url, b"hello", queue_bytes_max=1 << 20)
        try:
            for _ in range(200):
                link.send(b"x" * 300_000)
                await asyncio.sleep(0.02)
                if arrived.is_set() or len(lines) >= 2:
                    break
        finally:
            link.close()
            await server.close()
        return arrived.is_set()

    return uvloop.run(work()), lines


def test_peers_with_certificates_of_one_authority_exchange_frames(
    certificates: Certificates, tmp_path: Path
) -> None:
    settings = certificates.verifying(flag_prefix="--peer-", client_cert_auth=True)
    assert delivers(tmp_path, settings, settings) == (True, [])


def test_peers_with_their_own_certificates_exchange_frames(tmp_path: Path) -> None:
    settings = TlsSettings(flag_prefix="--peer-", auto=True)
    assert delivers(tmp_path, settings, settings) == (True, [])


@pytest.mark.parametrize("stranger", ["listens", "dials", "dials without a certificate"])
def test_a_peer_of_another_authority_is_refused(
    stranger: str, certificates: Certificates, tmp_path: Path
) -> None:
    ours = certificates.verifying(flag_prefix="--peer-")
    theirs = replace(
        ours, cert_file=str(certificates.mallory.cert), key_file=str(certificates.mallory.key)
    )
    if stranger == "listens":
        passed, lines = delivers(tmp_path, theirs, ours)
    elif stranger == "dials":
        passed, lines = delivers(tmp_path, ours, theirs)
    else:
        bare = replace(ours, cert_file="", key_file="")
        passed, lines = delivers(tmp_path, ours, bare)
    assert not passed
    texts = {text for text, _ in lines}
    assert texts <= {"rejected connection", "no TLS connection to a peer"}
    assert texts
