# SPDX-License-Identifier: Apache-2.0
"""Renders templates with python3-jinja2 under the settings that transformers gives it: the judge of ours."""
import datetime
import json

import jinja2
import jinja2.ext
import jinja2.sandbox

NOW = datetime.datetime(2024, 7, 26, 12, 0, 0)


class Generation(jinja2.ext.Extension):
    """The `generation` tag: its body is a function of its own and is printed."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_call")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _call(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def judge(env, template, context):
    """{"output": …} or {"error": …}."""
    try:
        output = env.from_string(template).render(**context)
        output.encode("utf-8")
        return {"output": output}
    except Exception as e:  # whatever Python raises, the template has failed
        return {"error": f"{type(e).__name__}: {e}"[:200]}
