"""What a notebook contains after it was run, for example by nbconvert.

It needs nbclient and ipykernel, which take 100 MB and are no part of the extra "test".
"""

import pytest

pytestmark = pytest.mark.slow
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

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
