# SPDX-License-Identifier: Apache-2.0
"""Proves that the ci tests notice: each one-line mutation of the product must make one of the named tests fail.

    mutations.py [NAME…]    all, or those whose name contains one of the words

Works on HEAD, in a git worktree and a build of its own in a temporary folder. Prints one JSON line a mutation; exit code 1 if one
survives, is stale (its text does not occur exactly once) or does not build.
"""
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from mutation_list import MUTATIONS, Mutation

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD_SECONDS, TEST_SECONDS = 3600, 1200


@contextlib.contextmanager
def worktree():
    with tempfile.TemporaryDirectory(prefix="troupe-mutations-") as folder:
        tree = pathlib.Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), "HEAD"], check=True)
        try:
            if (ROOT / "models").exists():
                (tree / "models").symlink_to(ROOT / "models")
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def run(tree: pathlib.Path, seconds: int, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=seconds)


def build(tree: pathlib.Path, tests: list[str]) -> str:
    """What the compiler says if it fails, else nothing. Targets are named as their tests; those in Python run the binary."""
    scripts = {path.stem for path in (tree / "tests" / "integration").glob("*_test.py")}
    targets = {target for test in tests for target in (["troupe", "check_history"] if test in scripts else [test])}
    done = run(tree, BUILD_SECONDS, "cmake", "--build", "build/release", "--target", *sorted(targets))
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-2000:]


def failing(tree: pathlib.Path, tests: list[str]) -> list[str]:
    failed = []
    for test in tests:
        done = run(tree, TEST_SECONDS, "ctest", "--test-dir", "build/release", "--no-tests=error", "-R", f"^{test}$")
        if "No tests were found" in done.stdout + done.stderr:
            raise SystemExit(f"there is no test {test}")
        failed += [test] if done.returncode != 0 else []
    return failed


def judge(tree: pathlib.Path, mutation: Mutation) -> dict:
    path, start = tree / mutation.file, time.monotonic()
    original = path.read_text()
    if original.count(mutation.old) != 1:
        return {"verdict": "stale", "occurrences": original.count(mutation.old)}
    path.write_text(original.replace(mutation.old, mutation.new))
    try:
        if errors := build(tree, mutation.tests):
            return {"verdict": "does not build", "errors": errors}
        failed = failing(tree, mutation.tests)
    finally:
        path.write_text(original)
    return {"verdict": "caught" if failed else "survived", "by": failed, "seconds": round(time.monotonic() - start)}


def main() -> int:
    wanted = [m for m in MUTATIONS if not sys.argv[1:] or any(word in m.name for word in sys.argv[1:])]
    tests = sorted({test for m in wanted for test in m.tests})
    with worktree() as tree:
        configured = run(tree, 300, "cmake", "--preset", "release", f"-DTROUPE_SHARED_DATA={ROOT.parent / 'shared' / 'data'}")
        if configured.returncode != 0:
            raise SystemExit(configured.stdout + configured.stderr)
        if errors := build(tree, tests):
            raise SystemExit("the unmutated build fails:\n" + errors)
        if failed := failing(tree, tests):
            raise SystemExit(f"without a mutation these tests fail already: {failed}")
        verdicts = []
        for mutation in wanted:
            result = judge(tree, mutation)
            verdicts.append(result["verdict"])
            print(json.dumps({"mutation": mutation.name, "file": mutation.file, **result}), flush=True)
    counts = {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}
    print(json.dumps({"mutations": len(verdicts), **counts}))
    return 0 if verdicts and counts == {"caught": len(verdicts)} else 1


if __name__ == "__main__":
    sys.exit(main())
