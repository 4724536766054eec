"""Files of POG: clothes with Chinese titles, and lines of clicks."""

import pytest

from skrec import ContentRecommender
from skrec.datasets import read_pog
from skrec.datasets._files import files as _files

SETTINGS = {"min_clicks": 4, "n_valid": 1, "n_test": 1, "n_negatives": 2, "n_negatives_eval": 3}
CLOTHES = [f"i{n},c{n % 3},//img.example/{n}.jpg,连衣裙 {n}, 夏季" for n in range(20)]
USERS = [
    "u1,i1;i2;i3,o1",
    "u2,i5; i6;i7;i8;i9,o2",
    "u1,i3;i4;i1;i10,o3",  # only the first click on an item is used
    "u3,,o4",
    "u4,i11;i12;i13;i14;i15,o1",
]


@pytest.fixture
def pog(tmp_path):
    (tmp_path / "item_data.txt").write_text("\n".join(CLOTHES), encoding="utf-8")
    (tmp_path / "user_data.txt").write_text("\n".join(USERS), encoding="utf-8")
    (tmp_path / "outfit_data.txt").write_text("o1,i1;i2\n")
    return tmp_path


def clicks(data):
    return {
        row["user_id"]: [*row["history"], row["candidates"][row["clicked"].index(1)]]
        for row in data.test.to_pylist()
    }


def test_clicks_are_in_the_order_of_the_lines(pog):
    data = read_pog(pog, **SETTINGS)
    assert clicks(data) == {
        "u1": ["i1", "i2", "i3", "i4", "i10"],
        "u2": ["i5", "i6", "i7", "i8", "i9"],
        "u4": ["i11", "i12", "i13", "i14", "i15"],
    }
    assert "time" not in data.test.column_names
    every = read_pog(pog, first_only=False, **SETTINGS)
    assert clicks(every)["u1"] == ["i1", "i2", "i3", "i3", "i4", "i1", "i10"]


@pytest.mark.parametrize("size", [20, 1000])
def test_the_first_users(pog, size, monkeypatch):
    monkeypatch.setattr(_files, "BLOCK_SIZE", size)
    assert list(clicks(read_pog(pog, max_users=2, **SETTINGS))) == ["u1", "u2"]
    with pytest.raises(ValueError, match="max_users must be an int of at least 1, got 0"):
        read_pog(pog, max_users=0)


def test_items_are_the_clothes(pog):
    items = read_pog(pog, **SETTINGS).items
    assert items.roles == {"title": "text", "category": "category"}
    assert items.n_items == 20
    assert items.to_pandas().title[7] == "连衣裙 7, 夏季"  # with its comma
    assert items.to_pandas().category[7] == "c1"


def test_from_the_files_to_fit_and_score(pog):
    data = read_pog(pog, **SETTINGS)
    rec = ContentRecommender("mean_pooling", max_epochs=1, width=8, early_stopping=False)
    assert 0 <= rec.fit(data.train, data.items).score(data.test) <= 1


def test_damaged_lines_are_named(pog):
    for name, wanted in (
        ("item_data.txt", "an id, a category, a picture and a title"),
        ("user_data.txt", "a user, items and an outfit"),
    ):
        text = (pog / name).read_text(encoding="utf-8").split("\n")
        text[2] = "i2"
        (pog / name).write_text("\n".join(text), encoding="utf-8")
        with pytest.raises(ValueError, match=rf"{name}, line 3: expected {wanted}, got 'i2'"):
            read_pog(pog, **SETTINGS)
        (pog / name).unlink()
        with pytest.raises(FileNotFoundError, match=f"looked for {name}"):
            read_pog(pog, **SETTINGS)
        (pog / name).write_text("\n".join(CLOTHES if "item" in name else USERS), encoding="utf-8")
