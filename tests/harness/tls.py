"""A server that speaks TLS, with certificates of an authority made for the test."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rowferry.demo import embedded
from rowferry.demo.embedded import EmbeddedError, Server

OPENSSL = shutil.which("openssl")


@dataclass
class Authority:
    """Signs certificates; `root` is what a client is told to trust."""

    folder: Path
    name: str

    @property
    def root(self) -> Path:
        return self.folder / f"{self.name}.crt"

    def create(self) -> Authority:
        key = ["-keyout", f"{self.folder}/{self.name}.key", "-out", str(self.root)]
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={self.name}", *key)
        return self

    def sign(self, host: str) -> tuple[Path, Path]:
        """Certificate and key of a server on this host."""
        stem = self.folder / f"{self.name}-{host}"
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={host}", "-keyout", f"{stem}.key", "-out", f"{stem}.csr")
        (self.folder / "names").write_text(f"subjectAltName=DNS:{host}\n")
        by = ["-CA", str(self.root), "-CAkey", f"{self.folder}/{self.name}.key", "-CAcreateserial", "-days", "2"]
        openssl("x509", "-req", "-in", f"{stem}.csr", "-extfile", f"{self.folder}/names", "-out", f"{stem}.crt", *by)
        return Path(f"{stem}.crt"), Path(f"{stem}.key")


def openssl(*arguments: str) -> None:
    assert OPENSSL
    done = subprocess.run([OPENSSL, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def authorities() -> Iterator[tuple[Authority, Authority]]:
    """The one that the servers have, and another; skips the test where there is no openssl."""
    if OPENSSL is None:
        pytest.skip("no openssl is installed: apt-get install openssl")
    with tempfile.TemporaryDirectory(prefix="rowferry-tls-", dir="/tmp") as name:
        yield Authority(Path(name), "ours").create(), Authority(Path(name), "theirs").create()


@contextlib.contextmanager
def server(authority: Authority, host: str) -> Iterator[Server]:
    """A server with a certificate for this host. Skips the test where no installed PostgreSQL was built with TLS."""
    certificate, key = authority.sign(host)
    account = embedded._account()
    for path in (authority.folder, certificate, key):
        if account:
            shutil.chown(path, account.pw_uid, account.pw_gid)
    settings = {"fsync": "off", "ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
    for folder in embedded._candidates():
        if (embedded._major(folder) or 0) < embedded.OLDEST_MAJOR:
            continue
        try:
            found = embedded.start("tls", settings, folder)
        except EmbeddedError as error:
            if "not supported by this build" in str(error):
                continue
            raise
        with found:
            yield found
        return
    pytest.skip("no PostgreSQL with TLS is installed: apt-get install postgresql")
