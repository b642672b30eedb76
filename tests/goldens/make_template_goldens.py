#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes templates/golden.jsonl: templates of our own, rendered by python3-jinja2.

Usage: pip install jinja2==3.1.6, then run this from anywhere. Each row is {"template", "context", "output"} or
{"template", "context", "error"}; of an error only its existence is compared.
"""
import json
import pathlib

import template_judge
from template_snippets import CONTEXT, SNIPPETS


def main():
    env = template_judge.environment()
    path = pathlib.Path(__file__).parent / "templates" / "golden.jsonl"
    path.parent.mkdir(exist_ok=True)
    failed = 0
    with path.open("w", encoding="utf-8") as out:
        for snippet in SNIPPETS:
            template, context = snippet if isinstance(snippet, tuple) else (snippet, {})
            result = template_judge.judge(env, template, {**CONTEXT, **context})
            failed += "error" in result
            row = {"template": template, "context": context, **result}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    context_path = path.parent / "context.json"
    context_path.write_text(json.dumps(CONTEXT, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{len(SNIPPETS)} rows, {failed} of them errors")


if __name__ == "__main__":
    main()
