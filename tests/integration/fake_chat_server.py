# SPDX-License-Identifier: Apache-2.0
"""A fake of the REST gateway for tests of its client: no model, answers by script.

The last user message chooses what happens; anything else is answered with "You said: …" in pieces.
"""
import http.server
import json
import threading
import time

ENDLESS_PIECES = 2000


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send_json(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/v1/models":
            self.send_json(200, {"object": "list", "data": [{"id": "fake-model", "object": "model"}]})
        else:
            self.send_json(404, {"error": {"message": "no such path"}})

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, document):
        text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
        data = f"data: {text}\n\n".encode()
        # Cut in the middle, often of a character: the client must not care.
        self.chunk(data[: len(data) // 2])
        self.chunk(data[len(data) // 2 :])

    def delta(self, text):
        self.event({"choices": [{"index": 0, "delta": {"content": text}}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(body)
        said = body["messages"][-1]["content"]
        if said == "refuse":
            return self.send_json(400, {"error": {"message": "the fake refuses", "type": "invalid_request_error"}})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self.answer(said, len(body["messages"]))
        except (BrokenPipeError, ConnectionResetError):
            self.server.broken_off.set()
            self.close_connection = True

    def answer(self, said, turns):
        self.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        if said == "endless":
            for i in range(ENDLESS_PIECES):
                self.delta(f"word{i} ")
                time.sleep(0.01)
        elif said == "fail":
            self.delta("half an ")
            self.event({"error": {"message": "the worker is lost", "type": "server_error"}})
            self.event("[DONE]")
        elif said == "break":
            self.delta("half an ")
            self.close_connection = True
            return
        elif said == "escape":
            self.delta("a\x1b[2Jb\x07c")
            self.event("[DONE]")
        else:
            for piece in ("You said: ", said, f" ({turns} turns, ümläut)"):
                self.delta(piece)
            self.event({"choices": [], "usage": {"total_tokens": 3}})
            self.event("[DONE]")
        self.chunk(b"")


class FakeChatServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []
        self.broken_off = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"
