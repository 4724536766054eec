"""What a notebook contains after it was run, and the notebooks of the gallery.

The packages belong to the extra "docs", because they take 80 MB and few tests need them. nbclient
is what `jupyter nbconvert --execute` runs.
"""

import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))
# the documentation runs all of them as scripts; few are run as notebooks, too
RUN = {"plot_01_quickstart", "plot_07_inspection", "plot_11_rules"}
CELLS = [
    """
from skrec import ContentRecommender, Items, Interactions
from skrec.datasets import make_headlines
news = make_headlines(n_users=40, n_items=120, n_impressions=240, random_state=0)
news
""",
    "Items(news.items)",
    "Interactions(news.train)",
    """
rec = ContentRecommender(max_epochs=2, random_state=0, verbose=1).fit(news.train, news.items)
rec
""",
]


@pytest.fixture(scope="module")
def outputs():
    """Return the outputs of each cell."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


def html_of(outputs):
    return "".join(out.data.get("text/html", "") for out in outputs if "data" in out)


def test_objects_are_shown_as_html(outputs):
    for cell, title in enumerate(["DataBunch", "Items: 120 items", "Interactions: 192 impr", ""]):
        assert "skrec-view" in html_of(outputs[cell])
        assert title in html_of(outputs[cell])
    assert "Fitted ContentRecommender" in html_of(outputs[3])


def test_a_fit_leaves_its_lines_and_how_long_it_took(outputs):
    printed = "".join(out.text for out in outputs[3] if out.get("name") == "stdout")
    assert [line.split()[0] for line in printed.splitlines()] == ["training", *["epoch"] * 2, "on"]
    assert "\r" not in printed
    shown = [out.data["text/plain"] for out in outputs[3] if out.output_type == "display_data"]
    assert len(shown) == 1 and shown[0].startswith("finished after 0:")
    assert not any(out.get("name") == "stderr" for out in outputs[3])


def convert(path, folder):
    """Convert an example to a notebook as the gallery does, and read it."""
    gallery = pytest.importorskip("sphinx_gallery.notebook")
    script = shutil.copy(path, folder / path.name)
    gallery.python_to_jupyter_cli([str(script)])
    return nbformat.read(script.with_suffix(".ipynb"), as_version=4)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_become_notebooks_of_code_and_text(path, tmp_path):
    notebook = convert(path, tmp_path)
    nbformat.validate(notebook)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert 3 <= len(code) < len(notebook.cells)
    for source in code:
        compile(source, path.name, "exec")


@pytest.mark.parametrize("name", sorted(RUN))
def test_notebooks_of_the_gallery_run_and_draw(name, tmp_path, monkeypatch):
    [path] = [path for path in EXAMPLES if path.stem == name]
    monkeypatch.delenv("MPLBACKEND", raising=False)  # in Jupyter, figures are part of the page
    notebook = convert(path, tmp_path)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert any("image/png" in out.get("data", {}) for out in outputs)
