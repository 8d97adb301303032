"""Follow the tutorials as a reader would, and keep their pictures.

    python docs/tutorials.py [NAME ...]

The blocks of ``docs/tutorials/NAME.md`` are taken in their order, in an empty folder:

* ``toml``, and ``python`` that begins with the name of a file (``# layer.toml``), are written to that file;
* ``sh`` runs, other ``python`` runs too, all of a page in one session;
* ``text`` is what the block before it prints: each of its lines must be among those printed, in the same order, with
  numbers that agree to a hundredth.

A block behind the comment ``<!-- not run: why -->`` is left out. Of other pages (`run_python`) only
``python`` is run, in its order and in one session. A picture of the page, ``NAME/results/layer.png``, is
what the blocks have written to ``results/layer.png``.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

HERE = Path(__file__).with_suffix("")
BLOCK = re.compile(r"^(<!-- not run: .*? -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w.]+\.(?:toml|py))$")
TOLERANCE = 1e-2
"""Between a number that a page promises and the one that is printed."""


def follow(name: str, folder: Path) -> None:
    """Run all blocks of a tutorial in a folder; raise AssertionError where something else is printed than it says."""
    session: dict = {"__name__": "__main__"}
    printed = ""
    for language, text in blocks(HERE / f"{name}.md"):
        file = FILE.match(text.partition("\n")[0])
        if language == "text":
            require(text, printed, name)
        elif language in ("toml", "python") and file:
            (folder / file[1]).write_text(text)
        elif language == "python":
            with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as caught:
                exec(compile(text, f"{name}.md", "exec"), session)
            printed = caught.getvalue()
        elif language == "sh":
            printed = in_shell(text, folder)
        else:
            raise AssertionError(f"{name}.md: nobody knows what to do with a block of {language}")


def run_python(page: Path, folder: Path) -> int:
    """Run the ``python`` blocks of any page in a folder; return how many they are."""
    session: dict = {"__name__": "__main__"}
    texts = [text for language, text in blocks(page) if language == "python"]
    with contextlib.chdir(folder):
        for number, text in enumerate(texts, start=1):
            exec(compile(text, f"{page.name}, block {number}", "exec"), session)
    return len(texts)


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """The language and text of every block of a page that is run or compared."""
    for left_out, language, text in BLOCK.findall(page.read_text()):
        if not left_out:
            yield language, text


def in_shell(text: str, folder: Path) -> str:
    """What some lines print; the command is that of the environment of this Python."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    finished = subprocess.run(
        ["bash", "-e", "-c", text],
        cwd=folder,
        env={**os.environ, "PATH": path, "MPLBACKEND": "Agg", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert finished.returncode == 0, f"{text}\n{finished.stdout}"
    return finished.stdout


def require(promised: str, printed: str, name: str) -> None:
    """Raise AssertionError unless every promised line is printed, in the same order."""
    lines = iter(printed.splitlines())
    for line in promised.splitlines():
        found = line in ("", "...") or any(alike(line, other) for other in lines)
        assert found, (
            f"{name}.md promises\n    {line}\nand what is printed, from there on where it stands, is\n{printed}"
        )


def alike(promised: str, printed: str) -> bool:
    """Whether two lines have the same words and, nearly, the same numbers."""
    left, right = promised.split(), printed.split()
    return len(left) == len(right) and all(map(same_word, left, right))


def same_word(promised: str, printed: str) -> bool:
    """Whether two words are equal, or two numbers nearly so."""
    try:
        return math.isclose(float(promised.strip(",;")), float(printed.strip(",;")), rel_tol=TOLERANCE)
    except ValueError:
        return promised == printed


def pictures(name: str) -> list[str]:
    """The pictures of a page that its blocks make, as the blocks name them."""
    return re.findall(rf"\]\({name}/([^)]+)\)", (HERE / f"{name}.md").read_text())


def names() -> list[str]:
    """Of all tutorials."""
    return sorted(path.stem for path in HERE.glob("*.md"))


def main() -> None:
    """Follow tutorials, and put the pictures they make beside their pages."""
    for name in sys.argv[1:] or names():
        with tempfile.TemporaryDirectory() as folder:
            follow(name, Path(folder))
            for picture in pictures(name):
                there = HERE / name / picture
                there.parent.mkdir(parents=True, exist_ok=True)
                # a palette is a third of the size
                Image.open(Path(folder) / picture).convert("RGB").quantize(128).save(there, optimize=True)
        print(f"{name}: followed", flush=True)


if __name__ == "__main__":
    main()
