"""fetch_ functions: an owner's server, from the address to a fitted recommender."""

import errno
import hashlib
import inspect
import os
import pydoc
import re
import tempfile
import time
from pathlib import Path

import pytest
from file_server import Plan, serving
from owners_files import (
    adressa_files,
    amazon_2018_files,
    amazon_files,
    goodreads_files,
    hotelrec_files,
    lastfm_files,
    microlens_files,
    mind_files,
    movielens_zip,
    xmind_files,
)

from skrec import datasets
from skrec.datasets._fetch import _fetch
from skrec.datasets._web.sources import SOURCES

FETCHERS = sorted(name for name in datasets.__all__ if name.startswith("fetch_"))
FIRST = {"fetch_amazon": ["Books"], "fetch_goodreads": ["poetry"], "fetch_xmind": ["swh"]}
SMALL = {"min_clicks": 5, "n_negatives_eval": 3, "n_train": 2}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as running:
        yield running


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def movielens(server, monkeypatch):
    """The server as GroupLens', with ml-1m.zip and the checksum that skrec knows of it."""
    body = movielens_zip()
    server.put("/ml-1m.zip", body)
    versions = SOURCES["movielens"].files
    known = f"md5:{hashlib.md5(body).hexdigest()}"
    file = versions["1m"][0]._replace(checksum=known, folder=server.url)
    monkeypatch.setitem(versions, "1m", [file])
    return server


def fetch_1m(home, **options):
    settings = {"data_home": home, "delay": 0.0, "verbose": False, "n_negatives_eval": 5}
    return datasets.fetch_movielens("1m", **settings | options)


def test_movielens_from_its_server_to_a_score(movielens, home, make_recommender, capsys):
    data = fetch_1m(home, verbose=True)
    told = capsys.readouterr().err
    assert "[skrec] MovieLens: for research; not for commercial use" in told
    assert "The terms: https://grouplens.org/datasets/movielens/" in told
    assert "Licen" in data.DESCR
    rec = make_recommender(max_epochs=8, learning_rate=1e-2).fit(data.train, data.items)
    assert rec.score(data.test) > 0.6
    again = fetch_1m(home)
    assert again.test.equals(data.test)
    assert capsys.readouterr() == ("", "")
    # what is read is the file that came, and it came once
    assert len(movielens.log) == 1
    same = datasets.read_movielens(home / "movielens" / "1m" / "ml-1m.zip", n_negatives_eval=5)
    assert same.test.equals(data.test)


def test_the_environment_names_the_folder(movielens, home, monkeypatch):
    monkeypatch.setenv("SKREC_DATA", str(home))
    fetch_1m(None)
    assert (home / "movielens" / "1m" / "ml-1m.zip").exists()


def test_a_cut_connection_is_tried_again(movielens, home):
    movielens.plans.append(Plan(short=1000))
    fetch_1m(home)
    assert len(movielens.log) == 2


def test_a_wrong_checksum_leaves_nothing_to_read(movielens, home):
    movielens.put("/ml-1m.zip", movielens_zip(lowest=3))
    message = "ml-1m.zip: the download is damaged: expected the MD5 .* See https://grouplens.org"
    with pytest.raises(OSError, match=message):
        fetch_1m(home)
    assert not (home / "movielens" / "1m" / "ml-1m.zip").exists()
    with pytest.raises(OSError, match="ml-1m.zip is missing"):
        fetch_1m(home, download_if_missing=False)


def test_delays_grow(movielens, home, monkeypatch):
    delays = []
    monkeypatch.setattr(time, "sleep", delays.append)
    movielens.plans += [Plan(status=503)] * 3
    fetch_1m(home, n_retries=3, delay=0.5)
    assert delays == [0.0, 0.5, 1.0, 2.0]


def test_a_server_that_stays_busy(movielens, home):
    movielens.plans += [Plan(status=503)] * 2
    message = (
        "ml-1m.zip: 503 Server Error.*, attempt 2; call again to resume. See https://grouplens"
    )
    with pytest.raises(ConnectionError, match=message):
        fetch_1m(home, n_retries=1)


def test_a_disk_without_room(movielens, home):
    movielens.plans.append(Plan(headers={"Content-Length": str(1 << 60)}))
    message = "ml-1m.zip: no room in .* another folder as data_home. See https://grouplens.org"
    with pytest.raises(OSError, match=message) as raised:
        fetch_1m(home)
    assert raised.value.errno == errno.ENOSPC


def test_a_mirror(movielens, server, home):
    server.put("/mirror/of/ml-1m.zip", server.files.pop("/ml-1m.zip"))
    fetch_1m(home, url=f"{server.url}/mirror/of/")
    assert server.sent[0][0] == "/mirror/of/ml-1m.zip"


def test_download_if_missing(movielens, home):
    message = (
        r"MovieLens: ml-1m\.zip is missing, and download_if_missing is False. "
        "See https://grouplens.org.*: pass a mirror as url=, or put the file into '.*movielens/1m'"
    )
    with pytest.raises(OSError, match=message):
        fetch_1m(home, download_if_missing=False)
    assert movielens.log == []
    fetch_1m(home)
    fetch_1m(home, download_if_missing=False)
    assert len(movielens.log) == 1


def test_a_damaged_file_is_told_of_and_fetched_again(movielens, home):
    fetch_1m(home)
    file = home / "movielens" / "1m" / "ml-1m.zip"
    file.write_bytes(b"damage")
    with pytest.raises(OSError, match="ml-1m.zip is damaged: expected the MD5"):
        fetch_1m(home, download_if_missing=False)
    with pytest.warns(UserWarning, match="is damaged: expected .*; downloaded again") as caught:
        fetch_1m(home)
    assert len(caught) == 1
    assert file.read_bytes() == movielens.files["/ml-1m.zip"]


def test_a_file_that_is_gone_from_the_server(server, home):
    message = (
        f"{server.url}/MicroLens-50k_pairs.csv: the server answered 404 Not Found. "
        "See https://github.com/westlake.*: pass a mirror as url=, or put the file into "
        "'.*/microlens/50k'"
    )
    with pytest.raises(FileNotFoundError, match=message):
        datasets.fetch_microlens("50k", data_home=home, url=server.url)
    assert server.statuses == [404]


@pytest.mark.parametrize("text", ["MD5 (ml-latest-small.zip) = {}\n", "{}  ml-latest-small.zip\n"])
def test_a_checksum_beside_the_file_is_checked(server, home, text):
    body = movielens_zip()
    server.put("/ml-latest-small.zip", b"cut")
    server.put("/ml-latest-small.zip.md5", text.format(hashlib.md5(body).hexdigest()).encode())

    def fetch():
        return datasets.fetch_movielens(
            "latest-small", data_home=home, url=server.url, n_negatives_eval=5, verbose=False
        )

    with pytest.raises(OSError, match="expected the MD5"):
        fetch()
    server.put("/ml-latest-small.zip", body)
    fetch()
    n_requests = len(server.log)
    fetch()
    assert len(server.log) == n_requests


def test_a_file_with_a_checksum_beside_it_is_resumed(server, home):
    body = bytes(1 << 20) + movielens_zip()  # bytes before a .zip file are ignored
    server.put("/ml-latest.zip", body)
    server.put("/ml-latest.zip.md5", hashlib.md5(body).hexdigest().encode())
    options = {"data_home": home, "url": server.url, "n_retries": 0, "verbose": False}
    server.plans += [Plan(), Plan(cut=len(body) - 1000)]
    with pytest.raises(ConnectionError):
        datasets.fetch_movielens("latest", n_negatives_eval=5, **options)
    datasets.fetch_movielens("latest", n_negatives_eval=5, **options)
    assert server.statuses == [200, 200, 200, 206]


def test_no_checksum_beside_the_file(server, home):
    server.put("/ml-latest.zip", movielens_zip())
    datasets.fetch_movielens(
        "latest", data_home=home, url=server.url, n_negatives_eval=5, verbose=False
    )
    assert [path for path, *_ in server.log] == ["/ml-latest.zip.md5", "/ml-latest.zip"]
    record = (home / "movielens/latest/.download/ml-latest.zip.verified").read_text()
    sha256 = hashlib.sha256(server.files["/ml-latest.zip"]).hexdigest()
    assert record.split()[0] == f"sha256:{sha256}"


CASES = {
    "adressa": (datasets.fetch_adressa, [], SMALL, adressa_files, 12),
    "amazon-2023": (datasets.fetch_amazon, ["Books"], SMALL, amazon_files, 12),
    "amazon-2018": (datasets.fetch_amazon, ["Books", "2018"], SMALL, amazon_2018_files, 12),
    "goodreads": (
        datasets.fetch_goodreads,
        ["poetry"],
        SMALL,
        lambda: goodreads_files(["goodreads_books_poetry", "goodreads_interactions_poetry"]),
        12,
    ),
    "goodreads-all": (
        datasets.fetch_goodreads,
        ["all"],
        SMALL,
        lambda: goodreads_files(["goodreads_books", "goodreads_interactions_dedup"]),
        12,
    ),
    "hotelrec": (datasets.fetch_hotelrec, [], SMALL, hotelrec_files, 12),
    "lastfm": (datasets.fetch_lastfm, [], SMALL, lastfm_files, 12),
    "microlens": (datasets.fetch_microlens, ["50k"], SMALL, microlens_files, 12),
    "mind": (datasets.fetch_mind, ["demo"], {}, mind_files, 12),
    "xmind": (datasets.fetch_xmind, ["swh"], {}, xmind_files, 12),
}


@pytest.mark.parametrize("case", CASES)
def test_every_family_from_its_files_to_a_score(case, server, home, monkeypatch, make_recommender):
    fetch, arguments, settings, make, n_items = CASES[case]
    for name, body in make().items():
        server.put(f"/{name}", body)
    # the fixtures are not the owners' files, of which the checksums are known
    for family, version in (("goodreads", "poetry"), ("lastfm", "360k")):
        versions = SOURCES[family].files
        files = [file._replace(checksum="sha256:") for file in versions[version]]
        monkeypatch.setitem(versions, version, files)

    def fetched():
        return fetch(*arguments, data_home=home, url=server.url, verbose=False, **settings)

    data = fetched()
    assert data.items.n_items == n_items
    assert data.test.num_rows
    assert str(home) in data.DESCR
    assert sorted(path for path, *_ in server.log) == sorted(f"/{name}" for name in make())
    rec = make_recommender(max_epochs=1).fit(data.train, data.items)
    assert 0 <= rec.score(data.test) <= 1
    again = fetched()
    assert len(server.log) == len(make())
    assert again.test.equals(data.test)


def test_a_known_sha256_is_checked(server, home):
    for name, body in CASES["goodreads"][3]().items():
        server.put(f"/{name}", body)
    known = SOURCES["goodreads"].files["poetry"][1].checksum.removeprefix("sha256:")
    message = f"interactions_poetry.json.gz: the download is damaged: expected the SHA-256 {known}"
    with pytest.raises(OSError, match=message):
        datasets.fetch_goodreads("poetry", data_home=home, url=server.url, verbose=False)


@pytest.mark.parametrize("name", FETCHERS)
def test_fetchers_are_called_alike(name):
    # a user who knows one knows all
    parameters = inspect.signature(getattr(datasets, name)).parameters
    defaults = {
        "data_home": None,
        "download_if_missing": True,
        "n_retries": 3,
        "delay": 1.0,
        "url": None,
        "verbose": True,
    }
    named = {key: p.default for key, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert named == defaults
    assert getattr(datasets, name.replace("fetch_", "read_"))
    assert "License" in getattr(datasets, name).__doc__


@pytest.mark.parametrize("name", FETCHERS)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_retries": -1}, ValueError, "n_retries must be a non-negative int, got -1"),
        ({"n_retries": 1.5}, ValueError, "n_retries must be a non-negative int, got 1.5"),
        ({"delay": "1"}, ValueError, "delay must be a number in"),
        ({"delay": -1}, ValueError, "delay must be a number in"),
        ({"url": "file:///etc"}, ValueError, "url must begin with https://, .* got 'file:///etc'"),
        ({"url": "http://example.org"}, ValueError, "url must begin with https://, or http:// for"),
        ({"url": 3}, ValueError, "url must begin with https://, .* got 3"),
        ({"data_home": 3}, TypeError, "data_home must be None or the path of a folder, got 3"),
    ],
)
def test_settings_out_of_range(name, options, error, message):
    with pytest.raises(error, match=message):
        getattr(datasets, name)(*FIRST.get(name, []), **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: datasets.fetch_movielens("2m"), "version .* '100k', '1m', .*, got '2m'"),
        (lambda: datasets.fetch_mind("tiny"), "version .* 'demo', 'small', 'large', got"),
        (lambda: datasets.fetch_microlens(""), "version .* '50k', '100k', got ''"),
        (lambda: datasets.fetch_amazon("Video Games"), "category .* 'All_Beauty'"),
        (lambda: datasets.fetch_amazon("Books", "2014"), "version .* '2018', '2023', got"),
        (lambda: datasets.fetch_xmind("eng"), "language .* 'cmn', .*, got 'eng'"),
        (lambda: datasets.fetch_xmind("swh", "demo"), "version .* 'small', 'large', got"),
        (lambda: datasets.fetch_adressa("1week"), "version .* 'one_week', 'three_month', got"),
        (lambda: datasets.fetch_goodreads(None), "genre .* 'children', .*, got None"),
    ],
)
def test_no_such_version(call, message):
    with pytest.raises(ValueError, match=message.replace(" .* ", " must be one of ")):
        call()


def test_a_data_home_that_is_a_file(movielens, tmp_path):
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="data_home must be a folder that can be written to"):
            fetch_1m(home)
    assert movielens.log == []


@pytest.fixture
def shared():
    """A folder that others may enter, for tests that give up their rights."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def read_only(shared):
    """Make the folder one that this process can't write to."""

    def lock():
        if os.geteuid() == 0:
            os.seteuid(65534)  # root writes everywhere
        else:
            for folder in [shared, *(path for path in shared.rglob("*") if path.is_dir())]:
                folder.chmod(0o555)

    yield lock
    if os.getuid() == 0:
        os.seteuid(0)
    else:
        for folder in [shared, *(path for path in shared.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)


def test_a_read_only_data_home(movielens, shared, read_only):
    read_only()
    for home in (shared, shared / "below"):
        with pytest.raises(OSError, match="data_home must be a folder that can be written to"):
            fetch_1m(home)
    assert movielens.log == []


def test_files_in_a_read_only_data_home_are_read(movielens, shared, read_only, home):
    # as on a cluster, where one fetches for all
    fetch_1m(shared)
    read_only()
    found = _fetch("movielens", {"version": "1m"}, data_home=shared)
    assert found["path"] == shared / "movielens" / "1m" / "ml-1m.zip"
    assert len(movielens.log) == 1


def files_of(files):
    """Return all files of a list, or of nested tables of lists."""
    if isinstance(files, list):
        return files
    return [file for each in files.values() for file in files_of(each)]


def test_the_table_is_in_order():
    files = [file for source in SOURCES.values() for file in files_of(source.files)]
    assert len(files) > 100
    for file in files:
        assert re.fullmatch(r"https://[\w.-]+(/[\w.-]+)+", file.folder)
        assert re.fullmatch(r"[\w.-]+\.(zip|tar\.gz|csv|json\.gz|jsonl\.gz)", file.name)
        assert re.fullmatch(r"md5:([0-9a-f]{32})?|sha256:([0-9a-f]{64})?", file.checksum)
    places = [(file.folder, file.name) for file in files]
    assert len(set(places)) == len(places)
    assert set(SOURCES) == {name.removeprefix("fetch_") for name in FETCHERS}
    assert [len(SOURCES["amazon"].files[version]) for version in ("2018", "2023")] == [29, 34]


def test_get_and_clear_data_home(home, monkeypatch):
    assert datasets.get_data_home(home) == home
    assert home.is_dir()
    monkeypatch.setenv("SKREC_DATA", str(home / "below"))
    assert datasets.get_data_home() == home / "below"
    monkeypatch.delenv("SKREC_DATA")
    monkeypatch.setenv("HOME", str(home))
    assert datasets.get_data_home() == home / "skrec_data"
    assert datasets.get_data_home("~/mine") == home / "mine"
    datasets.clear_data_home(home)
    assert not home.exists()


def test_help_shows_all_parameters():
    shown = pydoc.render_doc(datasets.fetch_lastfm, renderer=pydoc.plaintext)
    for name in ("data_home", "n_retries", "**settings", "Parameters of :func:`read_lastfm`"):
        assert name in shown
    assert "{" not in shown


def test_files_of_families_do_not_meet(server, home):
    # two versions of one family have files of one name
    for name, body in (amazon_files() | amazon_2018_files()).items():
        server.put(f"/{name}", body)
    one = datasets.fetch_amazon("Books", data_home=home, url=server.url, verbose=False, **SMALL)
    two = datasets.fetch_amazon(
        "Books", "2018", data_home=home, url=server.url, verbose=False, **SMALL
    )
    assert "version 2023" in one.DESCR
    assert "version 2018" in two.DESCR
