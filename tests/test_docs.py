"""What README.md and docs/ point to is there, for everyone who clones."""

import re
import shutil
import subprocess
from urllib.parse import unquote

import pytest
from helpers import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_TARGETS = (
    re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)"),  # [text](target), ![text](target)
    re.compile(r"^\s*\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)", re.MULTILINE),  # [name]: target
    re.compile(r"<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)=[\"']([^\"'\s]+)"),
)


def relative_targets(text):
    """Returns what a Markdown page links to or shows, but for the web and its own sections."""
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)  # code
    found = [target for pattern in _TARGETS for target in pattern.findall(text)]
    return [
        unquote(target.partition("#")[0])
        for target in found
        if not re.match(r"[a-z][a-z0-9+.-]*:|//|#", target, re.IGNORECASE)
    ]


@pytest.fixture(scope="module")
def tracked():
    """Every file that git tracks, and every folder with one in it."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git, and a checkout to ask it about")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    files = {ROOT / name for name in listed.stdout.split("\0") if name}
    return files | {folder for file in files for folder in file.parents}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_names_a_file_that_git_tracks(page, tracked):
    targets = relative_targets(page.read_text(encoding="utf-8"))
    broken = [target for target in targets if (page.parent / target).resolve() not in tracked]
    assert broken == []


def test_the_readme_has_links_and_pictures():
    assert len(relative_targets(PAGES[0].read_text(encoding="utf-8"))) > 3


def test_every_way_to_write_a_link_is_found():
    text = """[a](b.md) ![a](c.png "title") [a](<d.md#part>) [![x](e.png)](f.md#part)
[web](https://example.org/x.md) [here](#part) <img width=3 src="g.png"> [h](mailto:a@b.c)

[name]: i%20j.md
```
[code](k.md)
```
"""
    found = sorted(relative_targets(text))
    assert [name for name in found if name] == sorted(
        ["b.md", "c.png", "d.md", "e.png", "f.md", "g.png", "i j.md"]
    )
