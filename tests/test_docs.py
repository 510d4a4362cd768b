"""What README.md and docs/ point to is there, for everyone who clones."""

import re
import subprocess

import pytest
from helpers import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def relative_targets(page):
    """Returns what a Markdown page links to or shows, but for the web and its own sections."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)  # code
    found = re.findall(r"\]\(([^)#\s]+)|\b(?:src|href)=\"([^\"#]+)", text)
    return [link or html for link, html in found if not re.match("https?:", link or html)]


@pytest.fixture(scope="module")
def tracked():
    """Every file that git tracks, and every folder with one in it."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    files = {ROOT / name for name in listed.stdout.split("\0") if name}
    return files | {folder for file in files for folder in file.parents}


def test_every_relative_link_names_a_file_that_git_tracks(tracked):
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in relative_targets(page)
        if (page.parent / target).resolve() not in tracked
    ]
    assert broken == []
    assert {"docs/minimax.md", "docs/results/report.png"} <= {*relative_targets(PAGES[0])}
