"""Models from the hub, which is replaced by a local server."""

import json
import os
import subprocess
import sys
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from peft import LoraConfig, get_peft_model
from tiny_models import save_tiny
from transformers import AutoModel

from skrec.content._lm import load_base, tokenizer_hash
from skrec.content._lm import load_tokenizer as load_tokenizer_here
from skrec.content._lm.saved_adapters import read_adapters

COMMIT = "0123456789abcdef" * 2 + "01234567"
NAME, ADAPTERS = "someone/tiny", "someone/adapters"

# Each line of input is a call; each line of output is its result or its error.
SCRIPT = """
import json, sys
from skrec.content._lm import load_base, load_tokenizer, tokenizer_hash
from skrec.content._lm.saved_adapters import read_adapters
for line in sys.stdin:
    what, *arguments = json.loads(line)
    try:
        if what == "adapters":
            saved = read_adapters(arguments[0])
            result = [saved.folder, saved.config.r, sorted(saved.weights)]
        elif what == "base":
            base = load_base(arguments[0], revision=arguments[1])
            result = [base.name, base.revision, base.fingerprint]
        else:
            result = tokenizer_hash(load_tokenizer(*arguments))
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    print(json.dumps(result))
"""


def handler(repositories, asked):
    """Return a class that answers requests for files of repositories, by name and path."""

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            asked.append(self.path)
            name, path = self.path[1:].split("/resolve/")
            revision, file = path.split("/", 1)
            files = repositories.get(name)
            if files is None:
                self.answer(401, error="RepoNotFound")
            elif name == "someone/gated":
                self.answer(403, error="GatedRepo")
            elif revision not in ("main", COMMIT):
                self.answer(404, error="RevisionNotFound")
            elif file not in files:
                self.answer(404, error="EntryNotFound")
            else:
                self.answer(200, files[file])

        def do_GET(self):
            if not self.path.startswith("/api/"):
                return self.do_HEAD()
            asked.append(self.path)
            name = "/".join(self.path.split("/")[3:5])
            if name not in repositories:
                return self.answer(401, error="RepoNotFound")
            if "/tree/" in self.path:
                return self.answer(404, error="EntryNotFound")
            info = {"id": name, "sha": COMMIT, "siblings": [], "private": False, "tags": []}
            return self.answer(200, json.dumps(info).encode())

        def answer(self, status, body=b"", error=None):
            self.send_response(status)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{sha256(body).hexdigest()}"')
            self.send_header("Content-Length", str(len(body)))
            if error:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    return Hub


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("served"), ["one two three"], n_layers=1)


@pytest.fixture(scope="module")
def adapters(folder, tmp_path_factory):
    """Save adapters of the model."""
    lora = LoraConfig(r=2, target_modules=["query"])
    made = tmp_path_factory.mktemp("adapters")
    get_peft_model(AutoModel.from_pretrained(folder), lora).save_pretrained(made)
    return made


def files_of(folder):
    return {name: open(f"{folder}/{name}", "rb").read() for name in os.listdir(folder)}


@pytest.fixture(scope="module")
def hub(folder, adapters):
    """Serve models, adapters and repositories without either."""
    files, of_adapters = files_of(folder), files_of(adapters)
    pickled = {"config.json": files["config.json"], "pytorch_model.bin": b"pickled"}
    repositories = {
        NAME: files,
        "someone/pickled": pickled,
        "someone/gated": files,
        "someone/data": {"README.md": b""},
        ADAPTERS: of_adapters,
        "someone/pickled-adapters": {
            "adapter_config.json": of_adapters["adapter_config.json"],
            "adapter_model.bin": b"pickled",
        },
    }
    asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(repositories, asked))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def run(hub, tmp_path_factory):
    """Make calls in another process, because the hub's client reads its settings at import."""
    home = tmp_path_factory.mktemp("hub_home")

    def run(calls, **settings):
        unset = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN")
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        environment |= {"HF_ENDPOINT": hub[0], "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            input="\n".join(map(json.dumps, calls)),
            capture_output=True,
            text=True,
            env=environment | settings,
            check=True,
            timeout=300,
        )
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    return run


@pytest.fixture(scope="module")
def online(run):
    """Return the results of all calls, made once."""
    calls = [
        ("base", NAME, None),
        ("tokenizer", None, NAME),
        ("base", NAME, COMMIT),
        ("base", NAME, "next"),
        ("base", "someone/tyni", None),
        ("base", "someone/pickled", None),
        ("base", "someone/gated", None),
        ("base", "someone/data", None),
        ("tokenizer", "someone/data", NAME),
        ("tokenizer", "someone/pickled", NAME),
        ("adapters", ADAPTERS),
        ("adapters", "someone/data"),
        ("adapters", "someone/pickled-adapters"),
        ("adapters", "someone/tyni"),
    ]
    results, errors = run(calls, TQDM_POSITION="-1")  # progress bars without a terminal
    by_call = {tuple(call): result for call, result in zip(calls, results, strict=True)}
    return by_call | {"stderr": errors}


@pytest.mark.slow
def test_hub_gives_the_served_model_at_a_commit(online, folder):
    # the other process computed the fingerprint from other files
    assert online["base", NAME, None] == [NAME, COMMIT, load_base(folder).fingerprint]
    assert online["base", NAME, COMMIT] == online["base", NAME, None]


def test_hub_gives_the_served_tokenizer(online, folder):
    assert online["tokenizer", None, NAME] == tokenizer_hash(load_tokenizer_here(None, folder))


def test_hub_gives_the_served_adapters(online, adapters):
    saved = read_adapters(adapters)
    assert online["adapters", ADAPTERS] == [ADAPTERS, 2, sorted(saved.weights)]
    assert saved.weights


def test_hub_shows_the_progress_of_downloads_only(online):
    # neither other progress bars nor hints to log in
    lines = online["stderr"].replace("\r", "\n").split("\n")
    names = {line.split(":")[0] for line in lines if line}
    assert names and all(name.endswith("model.safetensors") for name in names)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("base", NAME, "next"), "OSError: model='someone/tiny' has no revision 'next' on the hub"),
        (("base", "someone/tyni", None), "OSError: model='someone/tyni' is neither a folder nor a"),
        (("base", "someone/pickled", None), "OSError: model='someone/pickled' has no weights in"),
        (("base", "someone/gated", None), "OSError: model='someone/gated' may only be read by"),
        (("base", "someone/data", None), "OSError: model='someone/data' has no config.json on"),
        (
            ("tokenizer", "someone/data", NAME),
            "OSError: tokenizer='someone/data' has no tokenizer_config.json on the hub, so it",
        ),
        (
            ("tokenizer", "someone/pickled", NAME),
            "ValueError: tokenizer='someone/pickled' has no files of a tokenizer",
        ),
        (
            ("adapters", "someone/data"),
            "OSError: lora='someone/data' has no adapter_config.json on the hub, so it holds no ad",
        ),
        (
            ("adapters", "someone/pickled-adapters"),
            "OSError: lora='someone/pickled-adapters' has no adapter_model.safetensors on the hub",
        ),
        (("adapters", "someone/tyni"), "OSError: lora='someone/tyni' is neither a folder nor a"),
    ],
)
def test_hub_errors_say_what_is_wrong(online, call, message):
    assert online[call].startswith(message)


def test_pickles_of_the_hub_are_not_even_fetched(online, hub):
    assert not [path for path in hub[1] if path.endswith(".bin")]


NOWHERE = "http://127.0.0.1:9"  # no server listens there
LACKS = "is not a folder, and the hub's cache ("


@pytest.mark.slow
def test_offline_the_cache_is_read_and_what_it_lacks_is_named(run, online, hub):
    del hub[1][:]
    calls = [
        ("base", NAME, None),
        ("tokenizer", None, NAME),
        ("base", NAME, COMMIT),
        ("adapters", ADAPTERS),
        ("base", NAME, "f" * 40),
        ("base", "someone/else", None),
        ("tokenizer", "someone/else", NAME),
    ]
    results, errors = run(calls, HF_HUB_OFFLINE="1")
    assert results[:4] == [online[call] for call in calls[:4]]
    assert results[4].startswith(f"OSError: model='someone/tiny' {LACKS}")
    assert f"lacks it at revision {'f' * 40}, while HF_HUB_OFFLINE is set. Give" in results[4]
    assert results[5].startswith(f"OSError: model='someone/else' {LACKS}")
    assert results[6].startswith(f"OSError: tokenizer='someone/else' {LACKS}")
    assert hub[1] == []
    assert errors == ""


@pytest.mark.slow
def test_without_a_connection_the_cache_is_read(run, online):
    # models only: for tokenizers, transformers retries for most of a minute
    calls = [("base", NAME, None), ("base", NAME, COMMIT)]
    results, errors = run(calls, HF_ENDPOINT=NOWHERE)
    assert results == [online[call] for call in calls]
    assert errors == ""


@pytest.mark.slow  # the hub's client retries for 25 seconds
def test_without_a_connection_what_the_cache_lacks_is_named(run):
    [result], _ = run([("base", "someone/else", None)], HF_ENDPOINT=NOWHERE)
    assert result.startswith(f"OSError: model='someone/else' {LACKS}")
    assert f"lacks it, while {NOWHERE} can't be reached. Give" in result
