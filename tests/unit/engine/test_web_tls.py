"""A public address by HTTPS: only a server whose certificate is good for its name is believed."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from press_deploy.engine.bench import web
from press_deploy.engine.bench.answer import BROKEN, GOOD
from press_deploy.engine.bench.web import fetch


class Pong(BaseHTTPRequestHandler):
	def do_GET(self) -> None:
		self.send_response(200)
		self.end_headers()
		self.wfile.write(b"pong")

	def log_message(self, *_: object) -> None:
		"""Nothing is to be read."""


def write_certificate(directory: Path, name: str) -> Path:
	"""One that is its own authority, and its key, in one file."""
	key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
	subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
	certificate = (
		x509.CertificateBuilder()
		.subject_name(subject)
		.issuer_name(subject)
		.public_key(key.public_key())
		.serial_number(x509.random_serial_number())
		.not_valid_before(now - timedelta(days=1))
		.not_valid_after(now + timedelta(days=1))
		.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
		.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
		.sign(key, hashes.SHA256())
	)
	pem, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
	file = directory / f"{name}.pem"
	file.write_bytes(
		key.private_bytes(pem, plain, serialization.NoEncryption()) + certificate.public_bytes(pem)
	)
	return file


@pytest.fixture
def certificate(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
	return write_certificate(tmp_path, getattr(request, "param", "localhost"))


@pytest.fixture
def address(certificate: Path) -> Iterator[str]:
	server = HTTPServer(("127.0.0.1", 0), Pong)
	context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	context.load_cert_chain(certificate)
	server.socket = context.wrap_socket(server.socket, server_side=True)
	threading.Thread(target=server.serve_forever, daemon=True).start()
	try:
		yield f"https://localhost:{server.server_port}/api/method/ping"
	finally:
		server.shutdown()
		server.server_close()


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
	monkeypatch.setattr(certifi, "where", lambda: str(certificate))
	web._tls.cache_clear()
	yield
	web._tls.cache_clear()


def test_one_that_nobody_vouches_for_is_not_believed(address: str) -> None:
	answer = fetch(address)
	assert (answer.kind, answer.status, answer.text) == (BROKEN, None, "")


def test_one_that_is_vouched_for_is(trusted: None, address: str) -> None:
	answer = fetch(address)
	assert (answer.kind, answer.text) == (GOOD, "pong")


@pytest.mark.parametrize("certificate", ["shop.example"], indirect=True)
def test_one_for_another_name_is_not(trusted: None, address: str) -> None:
	assert fetch(address).kind == BROKEN
