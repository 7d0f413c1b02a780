"""The hub: a round trip through huggingface_hub and a small server of its protocol."""

import base64
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("huggingface_hub")

THERE_AND_BACK = """
import torch, zoo
model = zoo.load("fnn/wine")
print(zoo.push_to_hub(model, "someone/wine"))
again, x = zoo.load("hub:someone/wine"), torch.rand(5, 13)
assert torch.equal(again.predict(x)["probability"], model.predict(x)["probability"])
try:
    zoo.push_to_hub(model, "others/wine")
except zoo.ZooError as error:
    print(error)
"""
COMMIT = "0" * 40


class Hub(BaseHTTPRequestHandler):
    files: dict[str, bytes] = {}  # noqa: RUF012  (one server, one store)

    def log_message(self, *args):
        pass

    def do_POST(self):
        content = self.rfile.read(int(self.headers["content-length"])).decode()
        address = f"http://{self.headers['host']}"
        if self.path == "/api/repos/create":
            request = json.loads(content)
            if request.get("organization") == "others":
                self._send(403, b'{"error": "You have no right to write there"}')
            else:
                assert "private" in content
                self._json({"url": f"{address}/someone/wine"})
        elif re.fullmatch(r"/api/models/someone/wine/preupload/main", self.path):
            names = [one["path"] for one in json.loads(content)["files"]]
            self._json({"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]})
        elif self.path.startswith("/api/models/someone/wine/commit/main"):
            for line in map(json.loads, content.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self._json({"commitUrl": f"{address}/someone/wine/commit/{COMMIT}", "commitOid": COMMIT})
        else:
            self._json({})

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        content = self.files.get(self.path.removeprefix("/someone/wine/resolve/main/"))
        self._send(404, b"") if content is None else self._send(200, content)

    def _json(self, content):
        self._send(200, json.dumps(content).encode())

    def _send(self, status, content):
        self.send_response(status)
        for name, value in {"ETag": '"1"', "X-Repo-Commit": COMMIT, "Content-Length": len(content)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@pytest.mark.slow
def test_hub_push_and_load_round_trip(tmp_path):
    hub = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    known = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(tmp_path)}
    known |= {"HF_TOKEN": "hf_none", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", THERE_AND_BACK], env=known, capture_output=True, text=True, timeout=120
    )
    hub.shutdown()
    assert done.returncode == 0, done.stderr
    put, refused = done.stdout.splitlines()[-2:]
    assert "someone/wine" in put
    assert refused.startswith("hub:others/wine: cannot be uploaded")
    assert 'zoo.load("hub:someone/wine")' in Hub.files["README.md"].decode()
