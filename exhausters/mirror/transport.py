"""Fetching pages and files, with the certificates, passwords and proxies that pip or uv would use."""

from __future__ import annotations

import base64
import contextlib
import netrc
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from exhausters.errors import MirrorError
from exhausters.targets.installer import scrubbed

__all__ = ["Transport", "file_url"]

_BLOCK_BYTES = 1 << 20
_DEFAULT_TIMEOUT_SECONDS = 60.0


class Transport:
    """Opens URLs; `environment` holds uv's variables (certificates, time limit, proxies)."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def page(self, url: str, *, accept: str) -> tuple[bytes, str] | None:
        """Return the body of `url` and its content type; a folder's page is the index.html inside.

        None if whoever serves it is there and says that it has no such page.

        Raises:
            MirrorError: it could not be fetched; whether there is such a page is not known.
        """
        if url.startswith("file:") and url.endswith("/"):
            url += "index.html"
        with _errors_named(url, expected="a page of the simple API"):
            try:
                with self._open(url, {"Accept": accept}) as answer:
                    return answer.read(), str(answer.headers.get("Content-Type", ""))
            except urllib.error.URLError as error:
                if _says_absent(url, error):
                    return None
                raise

    def blocks(self, url: str) -> Iterator[bytes]:
        """Yield the bytes of `url`; raises MirrorError if they cannot be fetched to their end."""
        with _errors_named(url, expected="the file that the index lists"), self._open(url, {}) as answer:
            expected = answer.headers.get("Content-Length")
            received = 0
            while block := answer.read(_BLOCK_BYTES):
                received += len(block)
                yield block
            if expected is not None and received != int(expected):
                raise OSError(f"the connection ended after {received} of {expected} bytes")

    def _open(self, url: str, headers: dict[str, str]) -> Any:
        url, credentials = _credentials(url)
        if credentials is not None:
            headers = {**headers, "Authorization": "Basic " + base64.b64encode(credentials).decode()}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310  (an index may be a folder)
        timeout = float(self._environment.get("UV_HTTP_TIMEOUT") or _DEFAULT_TIMEOUT_SECONDS)
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=self._context(url)),
            urllib.request.ProxyHandler(self._proxies(url)),
        )
        return opener.open(request, timeout=timeout)

    def _context(self, url: str) -> ssl.SSLContext:
        parts = urlsplit(url)
        insecure = self._environment.get("UV_INSECURE_HOST", "").split()
        if parts.hostname in insecure or parts.netloc in insecure:
            return ssl._create_unverified_context()  # noqa: S323  (the user named this host)
        file, folder = (self._environment.get(name) or None for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
        return ssl.create_default_context(cafile=file, capath=folder)

    def _proxies(self, url: str) -> dict[str, str]:
        if urllib.request.proxy_bypass(urlsplit(url).hostname or ""):
            return {}
        found = urllib.request.getproxies()
        for scheme in ("http", "https"):
            if proxy := self._environment.get(f"{scheme.upper()}_PROXY"):
                found.setdefault(scheme, proxy)
        return found


def file_url(path: Path) -> str:
    """Return `path` as a URL."""
    return path.absolute().as_uri()


def _credentials(url: str) -> tuple[str, bytes | None]:
    """Split `user:password@` off a URL; without one, look into the user's netrc file."""
    parts = urlsplit(url)
    if parts.username is not None:
        host = parts.netloc.rpartition("@")[2]
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return urlunsplit(parts._replace(netloc=host)), secret.encode()
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        known = netrc.netrc().authenticators(parts.hostname or "")
        if known is not None:
            return url, f"{known[0]}:{known[2]}".encode()
    return url, None


def _says_absent(url: str, error: urllib.error.URLError) -> bool:
    """Whether `error` is an answer, "no such page", and not the lack of one."""
    if isinstance(error, urllib.error.HTTPError):
        # Indexes that are files in a bucket (download.pytorch.org) answer 403 for whatever they do not hold.
        # To a request with a password, 403 says that the password does not do; without one, 401 asks for it.
        return error.code in (404, 410) or (error.code == 403 and _credentials(url)[1] is None)
    if isinstance(error.reason, FileNotFoundError):
        # An index in a folder lacks a project's folder; where its own is missing, a disk is not mounted.
        project = Path(unquote(urlsplit(url).path)).parent
        return not project.exists() and project.parent.is_dir()
    return False


@contextlib.contextmanager
def _errors_named(url: str, *, expected: str) -> Iterator[None]:
    try:
        yield
    except (OSError, HTTPException, ValueError) as error:
        is_status = isinstance(error, urllib.error.HTTPError)
        reason = error if is_status else getattr(error, "reason", None) or error
        raise MirrorError(
            scrubbed(
                f"{url}: could not be fetched ({reason}); expected {expected}; check the network and the "
                "settings of pip or uv, and run again"
            )
        ) from error
