"""Run a reader against the conformance vectors.

    python conformance/run.py [--vectors DIR] [--messages] READER [ARGUMENT ...]

Starts the reader once, with the URL of the hierarchy and the URL that it may be led to, and asks for one array after the other (see
README.md, "A reader"). Prints every array that is read wrong, then counts; exit code 1 if there is one.

    python conformance/run.py python conformance/readers/python_reader.py
    python conformance/run.py node conformance/readers/node_reader.mjs
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from intake_virtualzarr.cli.http_server import serve_directory

HERE = Path(__file__).resolve().parent


def served(stack: ExitStack, vectors: Path | None) -> tuple[Path, str, str]:
    """A copy of the vectors, and the URLs of its two ports."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    if vectors is None:
        subprocess.run([sys.executable, HERE / "make_vectors.py", folder], check=True)
    else:
        shutil.copytree(vectors, folder, dirs_exist_ok=True)
    main, other = (stack.enter_context(serve_directory(folder)) for _ in range(2))
    for path in folder.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        if "{{OTHER}}" in text:
            path.write_text(text.replace("{{OTHER}}", other.url), encoding="utf-8")
    return folder, f"{main.url}/store", other.url


def verdict(want: dict[str, Any], got: dict[str, Any], messages: bool) -> tuple[str, str]:
    """How an array was read, and what is wrong with it."""
    if "error" in want:
        if "error" not in got:
            return "read although it must be refused", f"{want.get('rule', '')}: gives {str(got)[:200]}"
        if messages and want["error"].lower() not in got["error"].lower():
            return "refused for another reason", f"says {got['error'][:200]!r}, expected {want['error']!r}"
        return "refused as it must be", ""
    if "error" in got:
        if want.get("needs") and want["dtype"] in got["error"]:
            return "refused for a data type that the engine lacks", ""
        return "refused although it can be read", got["error"][:300]
    for key in ("shape", "dtype"):
        if got.get(key) != want[key]:
            return "wrong", f"{key} is {got.get(key)}, expected {want[key]}"
    values = got["values"]
    if want["dtype"].startswith("float"):  # a program may write a whole number without a point
        values = [float(value) if isinstance(value, int) else value for value in values]
    differ = [index for index, pair in enumerate(zip(values, want["values"], strict=False)) if pair[0] != pair[1]]
    if differ or len(values) != len(want["values"]):
        at = differ[0] if differ else min(len(values), len(want["values"]))
        first = f"{values[at:][:1]} for {want['values'][at:][:1]}"
        return "wrong", f"{len(differ)} of {len(want['values'])} values, the first at {at}: {first}"
    return "identical", ""


GOOD = ("identical", "refused as it must be", "refused for a data type that the engine lacks")


def run(reader: list[str], vectors: Path | None, messages: bool) -> Counter[str]:
    """Ask for every array; prints what is wrong."""
    with ExitStack() as stack:
        folder, url, other = served(stack, vectors)
        arrays = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["arrays"]
        process = stack.enter_context(
            subprocess.Popen([*reader, url, other], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert process.stdin is not None
        assert process.stdout is not None
        counts: Counter[str] = Counter()
        for path, want in arrays.items():
            print(path, file=process.stdin, flush=True)
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"the reader ended when it was asked for {path}")
            how, what = verdict(want, json.loads(line), messages)
            counts[how] += 1
            if how not in GOOD:
                print(f"{path}: {how}: {what}")
        process.stdin.close()
        process.wait()
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, help="a directory of vectors that is already there")
    parser.add_argument("--messages", action="store_true", help="errors must hold the words of expected.json")
    parser.add_argument("reader", nargs=argparse.REMAINDER, help="the reader's command")
    options = parser.parse_args()
    if not options.reader:
        parser.error("say how the reader is started")
    counts = run(options.reader, options.vectors, options.messages)
    print(", ".join(f"{count} {how}" for how, count in sorted(counts.items())))
    return int(any(how not in GOOD for how in counts))


if __name__ == "__main__":
    sys.exit(main())
