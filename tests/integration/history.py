# SPDX-License-Identifier: Apache-2.0
"""What the clients of a node saw, for the checker that judges every scenario (tests/support/history.hpp)."""
import json
import pathlib
import subprocess


def lines_of(stream, name):
    yield {"event": "accepted", "request": name, "text": stream.expected_text, "output_tokens": stream.expected_tokens}
    yield {"event": "output", "request": name, "text": stream.text}
    for finish, failure in stream.ends:
        tokens = stream.usage and stream.usage["completion_tokens"]
        yield {"event": "ended", "request": name, "finish": finish, "failure": failure, "output_tokens": tokens}
    if stream.excuse or not stream.is_read:
        yield {"event": "excused", "request": name, "why": stream.excuse or "the test read no further"}


def check(troupe, streams, workers=()):
    """Fails if a stream ended twice or never, or has another text or usage than it should; or if one of `workers`,
    events at_rest, is not at rest."""
    if not streams and not workers:
        return
    lines = [json.dumps(line) for i, stream in enumerate(streams) for line in lines_of(stream, f"s{i}")]
    lines += [json.dumps(worker | {"event": "at_rest"}) for worker in workers]
    checker = pathlib.Path(troupe).parent / "check_history"
    judged = subprocess.run([checker], input="".join(line + "\n" for line in lines), capture_output=True, text=True)
    if judged.returncode != 0:
        raise AssertionError(f"the clients' history is wrong:\n{judged.stdout}{judged.stderr}")
