# SPDX-License-Identifier: Apache-2.0
"""A client that reads a streamed completion event by event."""
import json
import threading
import urllib.request


class Stream:
    """A streamed completion; the connection stays open until the server ends it."""

    def __init__(self, node, tokens, **fields):
        body = {"model": "demo", "prompt": "Once", "max_tokens": tokens, "temperature": 0, "stream": True,
                "stream_options": {"include_usage": True}} | fields
        request = urllib.request.Request(node.url + "/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
        self.answer = urllib.request.urlopen(request, timeout=60)
        self.text, self.finish, self.failure, self.done, self.usage = "", None, None, False, None
        #: Pairs of finish reason and error.
        self.ends = []
        #: The server has closed the stream.
        self.is_read = False
        #: For the judge of the node's history; None: not known.
        self.expected_text, self.expected_tokens, self.excuse = None, None, None
        node.streams.append(self)

    def read_event(self):
        """False at the end of the stream."""
        line = self.answer.readline().decode()
        if not line:
            self.is_read = True
            return False
        if line.startswith("data: [DONE]"):
            self.done = True
        elif line.startswith("data: "):
            event = json.loads(line[6:])
            if "error" in event:
                self.failure = event["error"]
                self.ends.append((None, str(event["error"])))
            self.usage = event.get("usage") or self.usage
            for choice in event.get("choices", []):
                self.text += choice["text"]
                if choice["finish_reason"]:
                    self.finish = choice["finish_reason"]
                    self.ends.append((self.finish, None))
        return True

    def read_until(self, characters):
        while len(self.text) < characters and self.read_event():
            pass

    def read_to_end(self):
        while self.read_event():
            pass


class Readers:
    """Streams that are read at the same time, a thread each."""

    def __init__(self, node, prompts, tokens, **fields):
        self.streams = [Stream(node, tokens, prompt=prompt, **fields) for prompt in prompts]
        self.threads = [threading.Thread(target=stream.read_to_end) for stream in self.streams]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join(timeout=60)
        return [stream.text for stream in self.streams]
