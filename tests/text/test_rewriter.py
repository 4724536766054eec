"""Columns that a language model writes: each item once, in any table, with the rest kept."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skrec import ContentRecommender, Items
from skrec.text import LLMRewriter, UserProfiler
from skrec.text._memory import MAX_FILES, WrittenTexts

FRAME = pd.DataFrame(
    {
        "item_id": [5, 6, 7, 8],
        "title": ["red fox", "blue sea", "fox and sea", "red fox"],
        "year": [2001, 2002, 2003, 2001],
    }
)
PROMPT = "Film: {title} ({year})"
WRITTEN = ["FILM: RED FOX (2001)", "FILM: BLUE SEA (2002)", "FILM: FOX AND SEA (2003)"]
WRITTEN.append(WRITTEN[0])


class Upper:
    """A model that writes in capitals, remembers what it read, and fails where it is told to."""

    fingerprint = "upper"

    def __init__(self, fails=(), stops_after=None):
        self.read, self.fails, self.stops_after = [], set(fails), stops_after

    def __call__(self, texts):
        if self.stops_after is not None and len(self.read) >= self.stops_after:
            raise KeyboardInterrupt
        self.read += texts
        for text in texts:
            if any(word in text for word in self.fails):
                raise OSError(f"no answer to {text[:12]}")
        return [text.upper() for text in texts]


def summaries(made):
    """Return the new column of any table as a list."""
    if isinstance(made, Items):
        return made.column("summary").to_pylist()
    column = made["summary"]
    return column.to_pylist() if isinstance(column, pa.ChunkedArray) else list(column)


@pytest.mark.parametrize(
    "make",
    [lambda f: f, Items, pl.from_pandas, pa.Table.from_pandas, lambda f: f.to_dict("list")],
    ids=["pandas", "Items", "polars", "Arrow", "mapping"],
)
def test_a_table_keeps_its_type_and_columns(make):
    X = make(FRAME)
    made = LLMRewriter(Upper(), PROMPT).fit_transform(X)
    assert type(made) is type(X)
    assert summaries(made) == WRITTEN
    if isinstance(made, Items):
        assert made.roles == {**X.roles, "summary": "text"}
        assert made.column("title").equals(X.column("title")) and (made.ids == X.ids).all()
    else:
        assert list(made["item_id"]) == list(X["item_id"])


def test_equal_prompts_are_written_once():
    model = Upper()
    LLMRewriter(model, PROMPT).fit_transform(FRAME)
    asked = ["Film: blue sea (2002)", "Film: fox and sea (2003)", "Film: red fox (2001)"]
    assert sorted(model.read) == asked


def test_several_columns_and_one_that_is_replaced():
    columns = {"title": "A {title}", "long": "{title}, {title}"}
    rewriter = LLMRewriter(Upper(), columns=columns)
    made = rewriter.fit_transform(FRAME)
    assert made["title"].iloc[0] == "A RED FOX"
    assert made["long"].iloc[0] == "RED FOX, RED FOX"  # of the title that was given
    assert list(rewriter.get_feature_names_out()) == list(made.columns)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_and_pipelines(library):
    pipe = make_pipeline(LLMRewriter(Upper(), PROMPT), FunctionTransformer())
    pipe.set_output(transform=library)
    made = pipe.fit_transform(pa.Table.from_pandas(FRAME))
    assert type(made).__module__.startswith(library)
    assert summaries(made) == WRITTEN
    assert isinstance(LLMRewriter(Upper(), PROMPT).fit_transform(Items(FRAME)), Items)


def test_clone_shares_the_model_and_pickles_write_the_same(tmp_path):
    rewriter = LLMRewriter(Upper(), PROMPT, memory=tmp_path).fit(FRAME)
    copied = clone(rewriter)
    assert copied.model is rewriter.model and not hasattr(copied, "writer_")
    again = pickle.loads(pickle.dumps(rewriter))
    assert summaries(again.transform(FRAME)) == WRITTEN


def test_memory_writes_an_unchanged_item_once(tmp_path):
    LLMRewriter(Upper(), PROMPT, memory=tmp_path).fit_transform(FRAME)
    model = Upper()
    changed = FRAME.assign(title=["red fox", "blue sky", "fox and sea", "red fox"])
    made = LLMRewriter(model, PROMPT, memory=tmp_path).fit_transform(changed)
    assert model.read == ["Film: blue sky (2002)"]
    assert summaries(made)[1] == "FILM: BLUE SKY (2002)"


@pytest.mark.parametrize(
    ("prompt", "name"), [("Movie: {title} ({year})", None), (PROMPT, "another model")]
)
def test_another_prompt_or_model_writes_all(prompt, name, tmp_path):
    LLMRewriter(Upper(), PROMPT, memory=tmp_path).fit_transform(FRAME)
    model = Upper()
    LLMRewriter(model, prompt, memory=tmp_path, model_name=name).fit_transform(FRAME)
    assert len(model.read) == 3


def test_an_interrupted_run_goes_on(tmp_path):
    first = LLMRewriter(Upper(stops_after=2), PROMPT, memory=tmp_path, batch_size=1)
    with pytest.raises(KeyboardInterrupt):
        first.fit_transform(FRAME)
    model = Upper()
    second = LLMRewriter(model, PROMPT, memory=tmp_path, batch_size=1)
    assert summaries(second.fit_transform(FRAME)) == WRITTEN
    assert len(first.model.read) == 2 and len(model.read) == 1


def test_damaged_and_unfinished_lines_are_written_again(tmp_path):
    rewriter = LLMRewriter(Upper(), PROMPT, memory=tmp_path).fit(FRAME)
    rewriter.transform(FRAME)
    [path] = (tmp_path / "texts").rglob("*.jsonl")
    lines = path.read_bytes().splitlines()
    lines[0] = lines[0].replace(b"FILM", b"EVIL")
    path.write_bytes(b"\n".join([*lines[:2], b"[1]", lines[2][:-9]]))
    model = Upper()
    again = LLMRewriter(model, PROMPT, memory=tmp_path).fit(FRAME)
    assert summaries(again.transform(FRAME)) == WRITTEN
    assert len(model.read) == 2


def test_many_runs_do_not_make_many_files(tmp_path):
    for n in range(MAX_FILES + 3):
        texts = WrittenTexts(tmp_path, {"writer": "x"})
        with texts.writing() as file:
            file.add({f"prompt {n}": f"text {n}"})
    assert len(list(tmp_path.rglob("*.jsonl"))) < MAX_FILES
    asked = [f"prompt {n}" for n in range(MAX_FILES + 3)]
    assert len(WrittenTexts(tmp_path, {"writer": "x"}).found(asked)) == len(asked)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_an_error_names_the_item_and_keeps_the_rest(batch_size, tmp_path):
    model = Upper(fails=["blue"])
    rewriter = LLMRewriter(model, PROMPT, memory=tmp_path, batch_size=batch_size).fit(FRAME)
    wanted = r"failed on 1 of 3 texts: item 6: no answer to Film: blue s\. The 2 others are kept"
    with pytest.raises(RuntimeError, match=wanted):
        rewriter.transform(FRAME)
    model.fails, model.read = set(), []
    assert summaries(rewriter.transform(FRAME)) == WRITTEN
    assert model.read == ["Film: blue sea (2002)"]


def test_a_warning_leaves_a_null(tmp_path):
    rewriter = LLMRewriter(Upper(fails=["blue"]), PROMPT, on_error="warn").fit(FRAME)
    with pytest.warns(UserWarning, match="item 6: no answer"):
        made = rewriter.transform(pa.Table.from_pandas(FRAME))
    assert summaries(made) == [WRITTEN[0], None, *WRITTEN[2:]]
    with pytest.warns(UserWarning):
        assert rewriter.transform(Items(FRAME)).column("summary").null_count == 1


def test_a_model_that_is_down_is_not_asked_for_ever():
    model = Upper(fails=["Film"])
    X = pd.DataFrame({"title": [f"film {n}" for n in range(40)], "year": range(40)})
    with pytest.raises(RuntimeError, match="row 0: .*; 37 more were not tried"):
        LLMRewriter(model, PROMPT, batch_size=1).fit_transform(X)
    assert len(model.read) == 3


@pytest.mark.parametrize(
    ("model", "error", "match"),
    [
        (lambda texts: "x", TypeError, "must return a list of texts for a list of texts, got str"),
        (lambda texts: ["x"], ValueError, "must return one text per text, got 1 for 3"),
        (lambda texts: [None] * len(texts), RuntimeError, "must write a text, got NoneType"),
    ],
)
def test_functions_that_do_not_write_texts(model, error, match):
    with pytest.raises(error, match=match):
        LLMRewriter(model, PROMPT).fit_transform(FRAME)


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"model": 3}, TypeError, "model must be a name on the hub, .* or a function of texts"),
        ({"prompt": None}, ValueError, "prompt must be a str with names of columns in braces"),
        ({"prompt": "{titel}"}, ValueError, r"column 'titel' that X lacks \(did you mean 'title'"),
        ({"prompt": "a film"}, ValueError, "must name a column in braces"),
        ({"prompt": "{title:>9}"}, ValueError, "without conversions or formats"),
        ({"columns": {"a": "{title}"}}, ValueError, "prompt must be None"),
        ({"columns": 3}, TypeError, "columns must be the name of the new column"),
        ({"columns": {"a": 3}, "prompt": None}, TypeError, "columns must map names to prompts"),
        ({"batch_size": 0}, ValueError, "batch_size must be"),
        ({"chat": "yes"}, ValueError, "chat must be"),
        ({"on_error": "stop"}, ValueError, "on_error must be"),
        ({"generation": 3}, TypeError, "generation must be a dict"),
        ({"model_name": 3}, TypeError, "model_name must be a str or None"),
        ({"memory": 3}, TypeError, "memory must be the path of a folder"),
        ({"model": str.upper, "memory": "x"}, ValueError, "memory needs a name for the function"),
        ({"model": "no/such/folder"}, FileNotFoundError, "neither a folder nor a file"),
    ],
)
def test_invalid_parameters_are_found_in_fit(parameters, error, match):
    with pytest.raises(error, match=match):
        LLMRewriter(**({"model": Upper(), "prompt": PROMPT} | parameters)).fit(FRAME)


def test_tables_that_are_none():
    with pytest.raises(TypeError, match="X must be an Items or a table with named columns"):
        LLMRewriter(Upper(), PROMPT).fit(["a", "b"])
    rewriter = LLMRewriter(Upper(), PROMPT).fit(FRAME)
    with pytest.raises(ValueError, match="names a column 'year' that X lacks"):
        rewriter.transform(FRAME[["item_id", "title"]])
    with pytest.raises(ValueError, match="'year' that the catalogue lacks"):
        rewriter.transform(Items(FRAME[["item_id", "title"]]))


ROWS = pd.DataFrame(
    {
        "history": [[5, 6, 7], [], [7], [5, 6, 7]],
        "candidates": [[8], [5], [6, 8], [8]],
        "clicked": [[1], [0], [0, 1], [0]],
        "time": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]),
    }
)


def test_a_profile_is_made_of_the_history_of_its_row_alone():
    """Neither candidates, clicks and times nor other rows may get into it."""
    model = Upper()
    profiler = UserProfiler(model, "Likes:\n{history}", item_text="{title} ({year})", max_history=2)
    made = profiler.fit_transform(ROWS, items=FRAME)
    both = "LIKES:\n1. BLUE SEA (2002)\n2. FOX AND SEA (2003)"
    assert list(made["profile"]) == [both, "", "LIKES:\n1. FOX AND SEA (2003)", both]
    assert len(model.read) == 2  # equal histories have one text, an empty one has none
    for at in range(len(ROWS)):
        alone = ROWS.iloc[[at]].assign(candidates=[[5]], clicked=[[1]], time=pd.NaT)
        assert list(profiler.transform(alone)["profile"]) == [made["profile"].iloc[at]]
    assert list(made.columns) == [*ROWS.columns, "profile"]
    assert made[list(ROWS.columns)].equals(ROWS)


def test_profiles_of_bare_histories_and_unknown_items():
    profiler = UserProfiler(Upper(), "{history}").fit([[5]], items=Items(FRAME))
    made = profiler.transform([[5, 6], []])
    assert made.column("profile").to_pylist() == ["1. RED FOX\n2. BLUE SEA", ""]
    with pytest.raises(ValueError, match="99"):
        profiler.transform([[5, 99]])
    profiler.set_params(unknown_items="ignore").fit([[5]], items=FRAME)
    assert profiler.transform([[5, 99]]).column("profile").to_pylist() == ["1. RED FOX"]


def test_profiles_name_the_row_that_failed():
    profiler = UserProfiler(Upper(fails=["blue"]), "{history}", batch_size=1)
    with pytest.raises(RuntimeError, match="the history of row 1: no answer"):
        profiler.fit_transform([[5], [6], [6]], items=FRAME)


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"prompt": "no place"}, ValueError, r"prompt must be a str that contains \{history\}"),
        ({"item_text": "{titel}"}, ValueError, "did you mean 'title'"),
        ({"max_history": 0}, ValueError, "max_history must be"),
        ({"unknown_items": "drop"}, ValueError, "unknown_items must be"),
        ({"column": 3}, TypeError, "column must be a str"),
    ],
)
def test_invalid_parameters_of_profiles(parameters, error, match):
    with pytest.raises(error, match=match):
        UserProfiler(**({"model": Upper(), "prompt": "{history}"} | parameters)).fit(
            ROWS, items=FRAME
        )
    with pytest.raises(ValueError, match=r"profiler\.fit\(X, items=items\)"):
        UserProfiler(Upper(), "{history}").fit(ROWS)


def test_a_recommender_reads_what_was_written(news):
    """Rewritten items and profiles of users are columns like any other."""
    from sklearn.compose import make_column_transformer
    from sklearn.feature_extraction.text import CountVectorizer

    items = LLMRewriter(Upper(), "{title}").fit_transform(Items(news.items))
    profiler = UserProfiler(Upper(), "{history}", max_history=3).fit(news.train, items=items)
    train, test = profiler.transform(news.train), profiler.transform(news.test)
    context = make_column_transformer((CountVectorizer(max_features=20), "profile"))
    rec = ContentRecommender(content="mean_pooling", context=context, max_epochs=1, random_state=0)
    rec.fit(train, items)
    assert rec.context_.columns and np.isfinite(np.concatenate(rec.decision_function(test))).all()
