"""The README's Python is what a user copies first: it runs, and prints what it says."""

import re
import shutil
from pathlib import Path

import pytest

from skrec import explode
from skrec.datasets import make_headlines

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
(CODE,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
(SHOWN,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
MOVIELENS = ROOT.parent / "shared" / "data" / "movielens-latest-small"


def test_the_readme_is_short():
    assert README.count("\n") < 120


def test_the_front_page_has_the_same_code_and_titles():
    page = (ROOT / "docs" / "index.rst").read_text(encoding="utf-8")
    block = page.split(".. code-block:: python\n\n")[1].split(".. list-table::")[0]
    assert re.sub(r"^   ", "", block, flags=re.MULTILINE).strip() == CODE.strip()
    titles = [line.split(maxsplit=1)[1] for line in SHOWN.splitlines()[1:]]
    assert titles and all(f"     - {title}\n" in page for title in titles)


def test_the_code_runs_on_other_files_with_these_columns(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    news = make_headlines(n_users=40, n_items=120, n_impressions=240, random_state=0)
    pairs, clicked = explode(news.train)
    seconds = pairs.time.astype("datetime64[s]").astype(int)
    log = {"userId": pairs.user_id, "movieId": pairs.candidate, "timestamp": seconds}
    pairs.assign(**log, rating=5 * clicked)[[*log, "rating"]].to_csv("ratings.csv", index=False)
    names = {"item_id": "movieId", "topic": "genres"}
    news.items.rename(columns=names).to_csv("movies.csv", index=False)
    exec(CODE.replace("random_state=0", "random_state=0, max_epochs=1"), {})
    assert len(capsys.readouterr().out.splitlines()) == 6


@pytest.mark.slow
@pytest.mark.skipif(not MOVIELENS.exists(), reason="needs MovieLens latest-small")
def test_the_code_prints_what_the_readme_says(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("movies.csv", "ratings.csv"):
        shutil.copy(MOVIELENS / name, name)
    exec(CODE, {})
    printed = {line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()[1:]}
    shown = {line.split(maxsplit=1)[1] for line in SHOWN.splitlines()[1:]}
    # processors round differently, and early stopping may then end an epoch apart
    assert len(printed & shown) >= 2


@pytest.mark.parametrize(
    "path",
    [
        path
        for folder in (".", "docs", "benchmarks")
        for path in sorted((ROOT / folder).glob("*.md"))
    ],
    ids=lambda path: path.name,
)
def test_links_between_markdown_files_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        file, _, place = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        if place and target.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            names = [re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings]
            assert place in names, link
