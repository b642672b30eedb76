# SPDX-License-Identifier: Apache-2.0
"""Fails on an include against the dependency direction, and on a source file over 800 lines without a reason.

The rule (ARCHITECTURE.md): apps → actors → {planner, transport, gpu, text} → messages → CAF core. The pure folders
include no CAF, not even through messages/. A long file states its reason in a line `// Long because: …` near its top.
"""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PURE = {"planner", "transport", "gpu", "text"}
MAY_INCLUDE = {
    "messages": {"messages"},
    **{folder: {folder, "messages"} for folder in PURE},
    "actors": {"actors", "messages"} | PURE,
    "apps": {"apps", "actors", "messages"} | PURE,
}
# Plain classes beside an actor, tested without CAF.
PURE_FILES = ("actors/worker/scheduler", "actors/worker/sequence", "actors/worker/block_pool", "actors/config/", "actors/frontend/openai/")
LINES_MAX = 800
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
SOURCES = {".hpp", ".cpp", ".inl", ".cuh", ".cu"}


def sources(root):
    for folder in [*MAY_INCLUDE, "tests"]:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SOURCES:
                yield path


def includes_of(path):
    return [(kind == "<", target) for kind, target in INCLUDE.findall(path.read_text())]


def reaches_caf(root, path, seen):
    """The chain of files from `path` to a CAF header, or None."""
    for system, target in includes_of(path):
        if system and target.startswith("caf/"):
            return [target]
        inner = root / target
        if not system and inner.exists() and target not in seen:
            seen.add(target)
            chain = reaches_caf(root, inner, seen)
            if chain:
                return [target, *chain]
    return None


def faults(root):
    found = []
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        text = path.read_text()
        lines = text.count("\n")
        if lines > LINES_MAX and "// Long because:" not in "\n".join(text.splitlines()[:10]):
            found.append(f"{name}: {lines} lines, more than {LINES_MAX}, without a written reason")
        if not text.startswith("// SPDX-License-Identifier: Apache-2.0\n"):
            found.append(f"{name}: the first line is not its SPDX line")
        top = name.split("/")[0]
        if top == "tests":
            continue
        for system, target in includes_of(path):
            other = target.split("/")[0]
            if not system and other in MAY_INCLUDE and other not in MAY_INCLUDE[top]:
                found.append(f"{name}: includes {target}, against the dependency direction")
        if top in PURE or name.startswith(PURE_FILES):
            chain = reaches_caf(root, path, set())
            if chain:
                found.append(f"{name}: reaches CAF by {' -> '.join(chain)}")
    return found


class Tidy(unittest.TestCase):
    def test_the_tree_keeps_its_rules(self):
        self.assertEqual(faults(ROOT), [])

    def test_the_checker_finds_what_it_looks_for(self):
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            spdx = "// SPDX-License-Identifier: Apache-2.0\n"
            for name, text in {
                "text/up.hpp": spdx + '#include "actors/a.hpp"\n',
                "gpu/far.hpp": spdx + '#include "messages/m.hpp"\n',
                "messages/m.hpp": spdx + "#include <caf/all.hpp>\n",
                "actors/a.hpp": spdx + "\n" * 801,
                "planner/ok.hpp": spdx + "#include <vector>\n",
                "transport/bare.hpp": "#pragma once\n",
            }.items():
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).write_text(text)
            found = "\n".join(faults(root))
        for part in ("text/up.hpp: includes actors/a.hpp", "gpu/far.hpp: reaches CAF by messages/m.hpp -> caf/all.hpp",
                     "actors/a.hpp: 802 lines", "transport/bare.hpp: the first line"):
            self.assertIn(part, found)
        self.assertEqual(found.count("\n"), 3)


if __name__ == "__main__":
    unittest.main()
