"""Texts that `skrec.cache` lists and deletes."""

import json
import threading

import pandas as pd
import pytest

from skrec import cache
from skrec.text import LLMRewriter
from skrec.text._memory import WrittenTexts

FRAME = pd.DataFrame({"item_id": [5, 6, 7, 8], "title": ["red fox", "blue sea", "owl", "red fox"]})


class Upper:
    """A model that writes in capitals and counts what it reads."""

    def __init__(self):
        self.n_read = 0

    def __call__(self, texts):
        self.n_read += len(texts)
        return [text.upper() for text in texts]


def write(memory, name="upper"):
    model = Upper()
    rewriter = LLMRewriter(model, "On {title}", memory=memory, model_name=name)
    return rewriter.fit_transform(FRAME), model.n_read


def test_texts_are_listed_by_model(tmp_path):
    write(tmp_path)
    write(tmp_path)
    write(tmp_path, "second")
    found = cache.info(tmp_path)
    assert sorted(found["model"]) == ["second", "upper"]
    assert found["kind"].tolist() == ["texts", "texts"]
    assert found["n_items"].tolist() == [3, 3]  # two items have the same title
    assert found["n_tokens"].tolist() == [0, 0]
    sizes = {
        str(folder): sum(path.stat().st_size for path in folder.iterdir())
        for folder in (tmp_path / "texts").iterdir()
        if folder.is_dir()
    }
    assert dict(zip(found["folder"], found["bytes"], strict=True)) == sizes
    age = pd.Timestamp.now("UTC") - found["created"]
    assert (age < pd.Timedelta("1h")).all() and (age >= pd.Timedelta(0)).all()


def test_deleted_texts_are_written_again(tmp_path):
    first, n_read = write(tmp_path)
    assert n_read == 3 and write(tmp_path)[1] == 0
    size = cache.info(tmp_path)["bytes"].sum()
    assert cache.clear(tmp_path) == 0  # states only
    assert write(tmp_path)[1] == 0
    assert cache.clear(tmp_path, which="texts") == size
    assert cache.info(tmp_path).empty
    assert list(tmp_path.iterdir()) == []
    again, n_read = write(tmp_path)
    assert n_read == 3 and again.equals(first)
    assert cache.clear(tmp_path, which="all") == size


def test_files_of_others_are_left_alone(tmp_path):
    write(tmp_path)
    [folder] = [path for path in (tmp_path / "texts").iterdir() if path.is_dir()]
    kept = [
        tmp_path / "texts" / "notes.txt",
        folder / "mine.jsonl",
        tmp_path / "texts" / ("a" * 32),
    ]
    outside = tmp_path / "outside.jsonl"
    outside.write_text("mine")
    for path in kept[:2]:
        path.write_text("mine")
    kept[2].mkdir()
    (kept[2] / "description.json").write_text(json.dumps({"format": "another"}))
    (folder / f"{'b' * 32}.jsonl").symlink_to(outside)
    assert len(cache.info(tmp_path)) == 1
    cache.clear(tmp_path, which="all")
    assert all(path.exists() for path in [*kept, outside])
    assert not list(folder.glob("description.json"))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"format": 3}'])
def test_damaged_descriptions_are_passed_over(text, tmp_path):
    write(tmp_path)
    [path] = (tmp_path / "texts").glob("*/description.json")
    path.write_text(text)
    assert cache.info(tmp_path).empty
    assert cache.clear(tmp_path, which="texts") == 0
    assert write(tmp_path)[1] == 0


def test_deletion_waits_for_a_writer(tmp_path):
    texts = WrittenTexts(tmp_path, {"writer": "upper"})
    thread = threading.Thread(target=cache.clear, args=[tmp_path], kwargs={"which": "texts"})
    with texts.writing() as writer:
        thread.start()
        thread.join(timeout=0.05)
        assert thread.is_alive()
        writer.add({"a": "A"})
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert WrittenTexts(tmp_path, {"writer": "upper"}).found(["a"]) == {}
    with texts.writing() as writer:  # the folder is made again
        writer.add({"b": "B"})
    assert WrittenTexts(tmp_path, {"writer": "upper"}).found(["b"]) == {"b": "B"}


def test_unknown_choice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="which must be"):
        cache.clear(tmp_path, which="everything")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="memory must be the path of a folder, got the file"):
        cache.info(tmp_path / "file")
