"""The README's Python is what a user copies first: it runs, and prints what it says."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
def test_the_readme_runs_and_prints_what_it_says(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # it saves a recommender
    names = {}
    for block in BLOCKS:
        exec(block, names)
    printed = capsys.readouterr().out
    shown = re.search(r"```text\n(.*?)```", README, re.DOTALL).group(1)
    numbers = re.compile(r"0\.\d+")
    # processors round differently, and early stopping may then end an epoch apart
    assert [float(number) for number in numbers.findall(printed)] == pytest.approx(
        [float(number) for number in numbers.findall(shown)], abs=0.02
    )
    assert numbers.sub("", printed).splitlines()[0] == numbers.sub("", shown).splitlines()[0]
