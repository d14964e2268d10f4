"""Tiny wheels and an index that serves them; the outside world of a mirror."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from exhausters.mirror.index import PackageIndex

METADATA = """\
Metadata-Version: 2.4
Name: sglang
Version: {version}
Requires-Python: >=3.10
Requires-Dist: transformers=={transformers}
Requires-Dist: av==16.1.0; sys_platform == "linux" and platform_machine == "never"
Requires-Dist: numpy; python_version >= "3.8"
Requires-Dist: torch==2.11.0
Requires-Dist: peft; extra == "test"

Requires-Dist: not-a-header
"""


def write_wheel(
    folder: Path,
    version: str,
    *,
    transformers: str = "5.1",
    day: int = 1,
    body: str = "",
    tag: str = "py3-none-any",
) -> Path:
    """Write a wheel shaped like SGLang's: a package, a compiled module, an executable script, a licence."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"sglang-{version}-py3-none-any.whl"
    information = f"sglang-{version}.dist-info"
    members = {
        "sglang/__init__.py": body or f"release = {version!r}\n",
        "sglang/srt/__init__.py": "",
        "sglang/srt/core.cpython-311-x86_64-linux-gnu.so": "\0ELF" + version,
        "sglang/configs/N=1,block_shape=[128, 128].json": "{}",
        "sglang/run.sh": "#!/bin/sh\n",
        f"{information}/METADATA": METADATA.format(version=version, transformers=transformers),
        f"{information}/licenses/LICENSE": "a licence\n",
        f"{information}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            info = zipfile.ZipInfo(name, date_time=(2026, 3, day, 12, 0, 0))
            info.external_attr = (0o100755 if name.endswith(".sh") else 0o100644) << 16
            archive.writestr(info, text)
    return path


def folder_index(folder: Path) -> PackageIndex:
    """An index that is a folder of wheels: it knows no upload times."""
    return PackageIndex(folders=(str(folder),))


def write_html_index(folder: Path, wheels: list[Path]) -> str:
    """Write an index in a folder, with a PEP 503 page for `wheels`, and return its URL."""
    page = folder / "simple" / "sglang"
    page.mkdir(parents=True)
    anchors = [
        f'<a href="{wheel.as_uri()}#sha256={hashlib.sha256(wheel.read_bytes()).hexdigest()}">{wheel.name}</a>'
        for wheel in wheels
    ]
    (page / "index.html").write_text("<!DOCTYPE html><html><body>" + "<br>".join(anchors) + "</body></html>")
    return page.parent.as_uri()


@contextmanager
def served(
    wheels: list[Path],
    *,
    uploaded: dict[str, str],
    missing_bytes: int = 0,
    authorizations: list[str | None] | None = None,
    **entry: Any,
) -> Iterator[PackageIndex]:
    """An index on the loopback that answers in JSON, with upload times by file name.

    Files end `missing_bytes` early; `authorizations` collects what each request sends; `entry` overrides
    fields of every listed file.
    """
    pages: dict[str, bytes] = {f"/files/{wheel.name}": wheel.read_bytes() for wheel in wheels}
    files = [
        {
            "filename": wheel.name,
            "url": f"../../files/{wheel.name}",
            "hashes": {"sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()},
            "upload-time": uploaded.get(wheel.name),
            **entry,
        }
        for wheel in wheels
    ]
    pages["/simple/sglang/"] = json.dumps(
        {"meta": {"api-version": "1.1"}, "name": "sglang", "files": files}
    ).encode()

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            if authorizations is not None:
                authorizations.append(self.headers["Authorization"])
            body = pages.get(self.path)
            self.send_response(200 if body is not None else 404)
            kind = "application/vnd.pypi.simple.v1+json" if self.path.endswith("/") else "application/zip"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            is_cut = missing_bytes and not self.path.endswith("/")
            self.wfile.write((body or b"")[: -missing_bytes if is_cut else None])

    with _listening(Handler) as place:
        yield PackageIndex(indexes=(f"http://{place}/simple",))


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server on the loopback that answers whatever it is asked with `status`; yields its `host:port`."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with _listening(Handler) as place:
        yield place


@contextmanager
def silent() -> Iterator[str]:
    """A server on the loopback that takes connections and never answers; yields its `host:port`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps requests out of the tests' output."""

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def _listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
