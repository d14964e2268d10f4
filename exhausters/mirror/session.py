"""The HTTP session in which package indexes are asked, configured as pip or uv is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests_file import FileAdapter

__all__ = ["DEFAULT_TIMEOUT_SECONDS", "session_for", "timeout_seconds"]

DEFAULT_TIMEOUT_SECONDS = 60.0


def session_for(environment: Mapping[str, str]) -> Session:
    """Return a session with the certificates, proxies and trusted hosts of uv's variables in `environment`.

    It reads `file:` URLs too. Passwords come from URLs and from the user's netrc file.
    """
    session = Session()
    session.verify = environment.get("SSL_CERT_FILE") or environment.get("SSL_CERT_DIR") or True
    for scheme in ("http", "https"):
        if proxy := environment.get(f"{scheme.upper()}_PROXY"):
            session.proxies[scheme] = proxy
    for host in environment.get("UV_INSECURE_HOST", "").split():
        session.mount(f"https://{host}/", _UnverifiedAdapter())
        session.mount(f"https://{host}:", _UnverifiedAdapter())
    session.mount("file://", _FolderAdapter())
    return session


def timeout_seconds(environment: Mapping[str, str]) -> float:
    """Return how long a server may stay silent."""
    return float(environment.get("UV_HTTP_TIMEOUT") or DEFAULT_TIMEOUT_SECONDS)


class _UnverifiedAdapter(HTTPAdapter):
    """Accepts any certificate: the user trusts this host."""

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        return super().send(request, *args, **{**options, "verify": False})


class _FolderAdapter(FileAdapter):
    """Takes the page of a folder from the index.html inside it, as pip does."""

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        if request.url is not None and request.url.endswith("/"):
            request.url += "index.html"
        return super().send(request, *args, **options)
