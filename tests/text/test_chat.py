"""The client of chat completions, against a server on this machine."""

import json
import pickle
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest

from skrec.text import ChatClient, LLMRewriter

KEY = "sk-secret-123"


class Server(ThreadingHTTPServer):
    """Answers in capitals. `plans` has (status, body) of the next answers; `log` what was sent."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1/chat/completions"
        self.plans, self.log = [], []


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.log.append((body, self.headers.get("Authorization")))
        text = body["messages"][-1]["content"].upper()
        good = json.dumps({"choices": [{"message": {"content": f" {text}\n"}}]})
        status, content, *location = self.server.plans.pop(0) if self.server.plans else (200, good)
        self.send_response(status)
        for place in location:
            self.send_header("Location", place)
        self.end_headers()
        self.wfile.write(content.encode())


@pytest.fixture
def server():
    with Server() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def client(server, monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    return ChatClient(server.url, "tiny", key_variable="TEST_KEY", n_threads=1, wait=0)


def test_items_are_written_and_kept(client, server, tmp_path):
    X = pd.DataFrame({"item_id": [1, 2], "title": ["fox", "sea"]})
    for _ in range(2):
        made = LLMRewriter(client, "A {title}", memory=tmp_path).fit_transform(X)
        assert list(made["summary"]) == ["A FOX", "A SEA"]
    assert len(server.log) == 2  # nothing was asked in the second run
    body, authorization = server.log[0]
    assert body["model"] == "tiny" and body["temperature"] == 0.0
    assert body["messages"] == [{"role": "user", "content": "A fox"}]
    assert authorization == f"Bearer {KEY}"


def test_system_message(server):
    ChatClient(server.url, "tiny", system="Be brief.")(["x"])
    [(body, authorization)] = server.log
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert authorization is None


def test_answers_are_in_the_order_of_the_texts(server):
    texts = [f"text {n}" for n in range(20)]
    assert ChatClient(server.url, "tiny", n_threads=8)(texts) == [t.upper() for t in texts]


def test_the_key_is_nowhere(client, server, capfd):
    rewriter = LLMRewriter(client, "{title}", on_error="warn", batch_size=1)
    server.plans = [(400, f"bad request with {KEY}")]
    with pytest.warns(UserWarning, match=r"answered 400 Bad Request: bad request with \*\*\*") as w:
        rewriter.fit_transform(pd.DataFrame({"title": ["fox"]}))
    shown = [repr(client), repr(rewriter), client.fingerprint, str(w[0].message)]
    shown += [*capfd.readouterr(), str(vars(client)), str(pickle.dumps(rewriter))]
    assert not any(KEY in text for text in shown)


def test_a_busy_server_is_asked_again(client, server):
    server.plans = [(429, "later"), (503, "later")]
    assert client(["fox"]) == ["FOX"]
    assert len(server.log) == 3


@pytest.mark.parametrize(
    ("plans", "match", "n_asked"),
    [
        ([(500, "x")] * 3, "answered 500", 3),
        ([(401, "who are you")], "answered 401 Unauthorized: who are you", 1),
        ([(200, "<html>")], "is no chat completion: b'<html>'", 1),
        ([(200, '{"choices": []}')], "is no chat completion", 1),
        ([(302, "", "http://127.0.0.1:9/")], "answered 302", 1),
    ],
)
def test_failures_are_answers(plans, match, n_asked, client, server):
    server.plans = list(plans)
    failed, good = client(["fox", "sea"])
    assert isinstance(failed, Exception) and match in str(failed)
    assert good == "SEA" and len(server.log) == n_asked + 1


def test_no_server():
    [failed] = ChatClient("http://127.0.0.1:9/v1", "tiny", wait=0, n_retries=1)(["x"])
    assert "http://127.0.0.1:9/v1 can't be reached" in str(failed)


def test_a_missing_key(server):
    [failed] = ChatClient(server.url, "tiny", key_variable="NO_SUCH_KEY")(["x"])
    assert "the environment variable NO_SUCH_KEY of the key is not set" in str(failed)
    assert not server.log


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"url": "file:///etc/passwd"}, "url must begin with http"),
        ({"url": "https://user:key@host/v1"}, "must not contain a key"),
        ({"max_tokens": 0}, "max_tokens must be"),
        ({"temperature": -1}, "temperature must be"),
        ({"n_threads": 0}, "n_threads must be"),
    ],
)
def test_invalid_parameters(parameters, match):
    with pytest.raises(ValueError, match=match):
        ChatClient(**({"url": "http://localhost/v1", "model": "tiny"} | parameters))
