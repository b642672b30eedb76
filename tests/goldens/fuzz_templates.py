#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the interpreter with python3-jinja2 on random templates.

Usage: fuzz_templates.py PATH/TO/template_render [CASES] [SEED]. Needs jinja2. Prints every difference and ends with
exit code 1 if there is one. Not compared: outputs that show an address, and what only Python's unbounded or complex
numbers can answer.
"""
import json
import random
import re
import subprocess
import sys
import warnings

import template_judge
from template_snippets import CONTEXT

NAMES = ["messages", "tools", "empty", "nothing", "yes", "no", "zero", "n", "neg", "pi", "text", "lines", "word", "nums",
         "words", "d", "people", "missing", "x", "ns", "loop"]
STRINGS = ["", "a", "abc", " a b ", "Hello World", "x-y_z", "é", "Straße", "世界", "a,b,,c", "\n", "a\nb\n", "1", "2.5", "<b>",
           "it's", 'say "x"', "role", "user", "name", "b", "🌍", "%s", "{}", "aXbX", "AbC"]
NUMBERS = ["0", "1", "2", "3", "-1", "10", "1.5", "-2.5", "0.1", "100", "1e3", "7"]
BINARY = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "and", "or"]
FILTERS = {
    "upper": [], "lower": [], "title": [], "capitalize": [], "trim": ["s?"], "join": ["s?"], "length": [], "count": [],
    "list": [], "first": [], "last": [], "map": ["f"], "select": ["t"], "reject": ["t"], "selectattr": ["k", "t?"],
    "rejectattr": ["k"], "replace": ["s", "s", "i?"], "default": ["e?", "b?"], "tojson": ["i?"], "items": [], "dictsort": ["b?"],
    "string": [], "int": ["i?"], "float": [], "indent": ["i?", "b?", "b?"], "unique": [], "sort": ["b?", "b?"], "reverse": [],
    "abs": [], "round": ["i?"], "sum": [], "min": [], "max": [], "batch": ["j", "e?"], "slice": ["j", "e?"], "e": [],
    "center": ["j"], "truncate": ["j", "b?", "s?", "i?"], "attr": ["k"], "d": ["e?"], "groupby": ["k"],
}
TESTS = {
    "defined": [], "undefined": [], "none": [], "string": [], "mapping": [], "sequence": [], "iterable": [], "number": [],
    "integer": [], "float": [], "boolean": [], "true": [], "false": [], "odd": [], "even": [], "divisibleby": ["j"],
    "eq": ["e"], "ne": ["e"], "lt": ["e"], "ge": ["e"], "in": ["e"], "lower": [], "upper": [], "callable": [], "equalto": ["e"],
}
METHODS = {
    "upper": [], "lower": [], "title": [], "capitalize": [], "swapcase": [], "strip": ["s?"], "lstrip": ["s?"], "rstrip": ["s?"],
    "split": ["s?", "i?"], "rsplit": ["s?", "i?"], "splitlines": ["b?"], "startswith": ["s", "i?", "i?"], "endswith": ["s"],
    "replace": ["s", "s", "i?"], "find": ["s", "i?", "i?"], "rfind": ["s", "i?"], "index": ["s"], "count": ["s", "i?"], "join": ["e"],
    "partition": ["s"], "rpartition": ["s"], "removeprefix": ["s"], "isdigit": [], "isalpha": [], "isalnum": [], "isspace": [],
    "isupper": [], "islower": [], "istitle": [], "zfill": ["j"], "ljust": ["j"], "center": ["j"], "keys": [], "values": [], "items": [],
    "get": ["s", "e?"], "append": ["e"], "copy": [], "pop": [],
}


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def string(self):
        return json.dumps(self.r.choice(STRINGS), ensure_ascii=False)

    def arguments(self, kinds, depth):
        out = []
        for kind in kinds:
            if kind.endswith("?"):
                if self.r.random() < 0.6:
                    break
                kind = kind[0]
            out.append({
                "s": self.string, "e": lambda: self.expression(depth - 1), "i": lambda: self.r.choice(NUMBERS[:6]),
                "j": lambda: self.r.choice(["1", "2", "3", "5", "0"]), "b": lambda: self.r.choice(["true", "false"]),
                "f": lambda: json.dumps(self.r.choice(["upper", "string", "length", "first", "int", "list", "abs", "nosuch"])),
                "t": lambda: json.dumps(self.r.choice(["odd", "string", "defined", "none", "mapping", "number"])),
                "k": lambda: json.dumps(self.r.choice(["role", "name", "age", "city.n", "b", "0", "content"])),
            }[kind]())
        if self.r.random() < 0.02:
            out.append(self.expression(0))
        return ", ".join(out)

    def atom(self):
        roll = self.r.random()
        if roll < 0.45:
            return self.r.choice(NAMES)
        if roll < 0.7:
            return self.string()
        if roll < 0.9:
            return self.r.choice(NUMBERS)
        return self.r.choice(["true", "false", "none", "[]", "{}", "()", "range(4)"])

    def expression(self, depth):
        if depth <= 0:
            return self.atom()
        sub = lambda: self.expression(depth - 1)
        roll = self.r.randrange(17)
        if roll < 3:
            op = self.r.choice(BINARY)
            if self.r.random() < 0.6 and op not in ("in", "not in", "and", "or"):
                return f"{self.wrap(self.like_number(depth))} {op} {self.wrap(self.like_number(depth) if op != '**' else '2')}"
            right = self.r.choice(["2", "3", "0", "0.5", "-1"]) if op == "**" else sub()
            return f"{self.wrap(sub())} {op} {self.wrap(right)}"
        if roll < 6:
            name = self.r.choice(list(FILTERS))
            args = self.arguments(FILTERS[name], depth)
            value = sub() if self.r.random() < 0.4 else self.like_list(depth) if self.r.random() < 0.6 else self.like_string(depth)
            return f"{self.wrap(value)}|{name}" + (f"({args})" if args or self.r.random() < 0.1 else "")
        if roll < 8:
            name = self.r.choice(list(TESTS))
            args = self.arguments(TESTS[name], depth)
            return f"{self.wrap(sub())} is {self.r.choice(['', 'not '])}{name}" + (f"({args})" if args else "")
        if roll < 11:
            name = self.r.choice(list(METHODS))
            value = sub() if self.r.random() < 0.2 else "d" if name in ("keys", "values", "items", "get") else self.like_string(depth)
            return f"{self.wrap(value)}.{name}({self.arguments(METHODS[name], depth)})"
        if roll == 11:
            return f"{self.wrap(sub())}[{sub()}]"
        if roll == 12:
            bound = lambda: self.r.choice(["", "", "0", "1", "-1", "2", "-2", "5", "none"])
            step = self.r.choice(["", "", ":", ":-1", ":2", ":-2", ":1"])
            return f"{self.wrap(sub())}[{bound()}:{bound()}{step}]"
        if roll == 13:
            return f"{self.wrap(sub())}.{self.r.choice(['role', 'content', 'name', 'b', 'a', 'x', 'index', 'last', 'length', 'items', '0'])}"
        if roll == 14:
            return self.r.choice([f"[{sub()}, {sub()}]", f"({sub()}, {sub()})", f"{{{self.string()}: {sub()}}}", f"[{sub()}]"])
        if roll == 15:
            return f"{self.wrap(sub())} if {self.wrap(sub())}" + (f" else {self.wrap(sub())}" if self.r.random() < 0.8 else "")
        return self.r.choice(["not ", "-", "+"]) + self.wrap(sub())

    def like_number(self, depth):
        roll = self.r.random()
        if roll < 0.5 or depth <= 1:
            return self.r.choice(["n", "neg", "pi", "zero", "yes"] + NUMBERS)
        return self.r.choice([f"({self.like_number(depth - 1)} + {self.like_number(depth - 1)})", f"{self.like_list(depth - 1)}|length", "nums[1]", f"{self.like_string(depth - 1)}|int", "nums|sum", "nums|max", f"{self.like_number(depth - 1)}|round"])

    def like_string(self, depth):
        roll = self.r.random()
        if roll < 0.5 or depth <= 1:
            return self.r.choice(["text", "word", "lines", "messages[1].content", "words[0]"] + [self.string() for _ in range(5)])
        return self.r.choice([f"({self.like_string(depth - 1)} ~ {self.like_number(depth - 1)})", f"{self.like_string(depth - 1)}|upper", f"({self.like_string(depth - 1)} + {self.like_string(depth - 1)})", f"{self.like_list(depth - 1)}|join('-')", f"{self.like_list(depth - 1)}|tojson", f"{self.like_string(depth - 1)}.strip()", f"{self.like_string(depth - 1)}[1:]", f"{self.like_string(depth - 1)}|string"])

    def like_list(self, depth):
        roll = self.r.random()
        if roll < 0.6 or depth <= 1:
            return self.r.choice(["nums", "words", "people", "messages", "d", "empty", "range(5)", "tools"])
        return self.r.choice([f"{self.like_list(depth - 1)}|list", f"{self.like_list(depth - 1)}[:2]" if self.r.random() < 0.8 else "nums", f"{self.like_string(depth - 1)}.split()", f"[{self.like_number(depth - 1)}, {self.like_string(depth - 1)}]", "nums|sort", "words|map('upper')", "nums|select('odd')", "d.items()", "people|map(attribute='name')", f"({self.like_number(depth - 1)}, 1)"])

    def wrap(self, text):
        return text if self.r.random() < 0.4 else f"({text})"

    def space(self):
        return self.r.choice(["", "", "", " ", "\n", "  ", "\n  ", "x", "\nx "])

    def tag(self, inside):
        return f"{{%{self.r.choice(['', '', '-', '+'])} {inside} {self.r.choice(['', '', '-', '+'])}%}}"

    def statement(self, depth):
        e = lambda: self.expression(self.r.randrange(3))
        roll = self.r.randrange(13) if depth > 0 else 0
        body = lambda: self.template(depth - 1)
        t = self.tag
        if roll < 5:
            return f"{{{{{self.r.choice(['', '-'])} {self.expression(self.r.randrange(1, 4))} {self.r.choice(['', '-'])}}}}}"
        if roll < 7:
            return t(f"if {e()}") + body() + (t(f"elif {e()}") + body() if self.r.random() < 0.3 else "") + (t("else") + body() if self.r.random() < 0.5 else "") + t("endif")
        if roll < 9:
            head = self.r.choice(["x in nums", "x in messages", "x in words", "k, v in d.items()", f"x in {e()}", "x in range(3)", "x in people if x.age", f"x in nums if {e()}"])
            jump = t("if " + e()) + t(self.r.choice(["break", "continue"])) + t("endif") if self.r.random() < 0.3 else ""
            return t(f"for {head}") + body() + jump + body() + (t("else") + body() if self.r.random() < 0.3 else "") + t("endfor")
        if roll == 9:
            return t(f"set {self.r.choice(['x', 'n', 'ns', 'y'])} = {e()}")
        if roll == 10:
            return t("set ns = namespace(a=1)") + body() + t(f"set ns.a = {e()}") + "{{ ns.a }}"
        if roll == 11:
            return t("macro m(x, n=2)") + body() + t("endmacro") + "{{ m(" + e() + ") }}{{ m() }}"
        return self.r.choice([t("set x") + body() + t("endset") + "{{ x }}", t("filter upper") + body() + t("endfilter"), t(f"with x = {e()}") + body() + t("endwith"), "{#- c #}", "{# c -#}\n", t("raw") + "{{ x }}" + t("endraw"), t("generation") + body() + t("endgeneration")])

    def template(self, depth):
        return "".join(self.space() + self.statement(depth) + self.space() for _ in range(self.r.randrange(1, 4)))


INCOMPARABLE = re.compile(r" at 0x|0x7f|<generator|<built-in|<bound|<filter|<Macro|<function|<class|<map|LoopContext|Markup\(|\d{19}|\dj\)|<method|reversed|<dict_|<list_|<range_it|<Cycler|dict_keyiterator", re.IGNORECASE)


def main():
    binary = sys.argv[1]
    cases = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    warnings.simplefilter("ignore")
    env = template_judge.environment()
    process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    different = errors = skipped = 0
    for i in range(cases):
        g = Generator(seed * 1_000_003 + i)
        template = "{{ " + g.expression(g.r.randrange(1, 5)) + " }}" if i % 2 == 0 else g.template(2)
        expected = template_judge.judge(env, template, dict(CONTEXT))
        process.stdin.write(json.dumps({"template": template, "context": CONTEXT}) + "\n")
        process.stdin.flush()
        got = json.loads(process.stdout.readline())
        errors += "error" in expected
        # Jinja computes constants otherwise than variables: 5[1:] is undefined, n[1:] fails, and what a constant
        # comparison skips may name no filter. Python has complex numbers, and prints a namespace that holds itself.
        known = re.search("cannot be sliced|not a real number|depth_max|there is no (filter|test) named", got.get("error", ""))
        if "output" in expected and (known or INCOMPARABLE.search(expected["output"])) or "64 bits" in got.get("error", ""):
            skipped += 1
        elif expected.get("output") != got.get("output"):
            different += 1
            print(f"--- case {i}\n{template!r}\n expected {str(expected)[:300]}\n got      {str(got)[:300]}")
    print(f"{cases} cases with seed {seed}: {errors} errors in both or one, {skipped} not comparable, {different} different")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
