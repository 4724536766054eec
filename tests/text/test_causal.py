"""Generation with a tiny random language model: batches, cache, determinism and limits."""

import copy

import pandas as pd
import pytest
import torch
from tiny_models import GROUPED, tiny_tokenizer
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from skrec.text import PROMPTS, LLMRewriter

TITLES = [
    "red fox jumps over",
    "blue sea",
    "the fox and the sea and more words",
    "sea",
    "a red fox",
]
X = pd.DataFrame({"item_id": range(5), "title": TITLES})
PROMPT = "about a film: {title}"


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer([*TITLES, "about a film:", *(f"word{n}" for n in range(60))])


@pytest.fixture(scope="module")
def model(tokenizer):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LlamaConfig(
            num_hidden_layers=2,
            **{**GROUPED, "vocab_size": len(tokenizer), "max_position_embeddings": 40},
            bos_token_id=2,
            eos_token_id=3,
            pad_token_id=0,
        )
        # large weights, so that texts differ and some of them end
        made = LlamaForCausalLM(config).double().eval()
        made.lm_head.weight.data.mul_(50)
        return made


@pytest.fixture
def rewriter(model, tokenizer):
    def make(given=model, **parameters):
        parameters = {"tokenizer": tokenizer, "max_new_tokens": 8} | parameters
        return LLMRewriter(given, PROMPT, **parameters)

    return make


def plain_greedy(model, ids, n_new):
    """Write one text without a cache, batches or padding: the most probable token, each time."""
    ids = list(ids)
    start = len(ids)
    with torch.no_grad():
        while len(ids) < start + n_new:
            token = int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
            if token == model.generation_config.eos_token_id:
                break
            ids.append(token)
    return ids[start:]


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_batches_equal_plain_generation_one_by_one(batch_size, model, tokenizer, rewriter):
    """Left padding, sorting and the cache of keys and values change nothing."""
    made = rewriter(batch_size=batch_size).fit_transform(X)["summary"]
    expected = []
    for title in TITLES:
        ids = tokenizer(PROMPT.format(title=title))["input_ids"][:-1]  # without the final [SEP]
        expected.append(tokenizer.decode(plain_greedy(model, ids, 8), skip_special_tokens=True))
    assert list(made) == [text.strip() for text in expected]
    assert len(set(made)) > 2 and all(made)


def test_tokens_are_counted_and_the_second_run_generates_none(rewriter, tmp_path):
    first = rewriter(memory=tmp_path, batch_size=2).fit(X)
    made = first.transform(X)
    assert first.writer_.n_calls == 3
    assert 5 <= first.writer_.n_tokens <= 5 * 8
    second = rewriter(memory=tmp_path).fit(X)
    assert second.transform(X).equals(made)
    assert (second.writer_.n_calls, second.writer_.n_tokens) == (0, 0)


def test_the_model_object_stays_as_it_is(model, tokenizer, rewriter):
    given = copy.deepcopy(model).train()
    before = copy.deepcopy(given.state_dict())
    state = torch.get_rng_state()
    made = rewriter(given, generation={"do_sample": True, "top_k": 5}).fit_transform(X)
    again = rewriter(given, generation={"do_sample": True, "top_k": 5}).fit_transform(X)
    assert made.equals(again)  # sampling is repeatable, and leaves the generator alone
    assert torch.equal(torch.get_rng_state(), state)
    assert given.training
    torch.testing.assert_close(given.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    "changed", [{"max_new_tokens": 7}, {"generation": {"repetition_penalty": 1.5}}, {"weight": 1}]
)
def test_what_a_text_depends_on_writes_it_again(changed, model, rewriter, tmp_path):
    rewriter(memory=tmp_path).fit_transform(X)
    given = copy.deepcopy(model)
    with torch.no_grad():
        given.lm_head.weight[0] += changed.pop("weight", 0)
    again = rewriter(given, memory=tmp_path, **changed).fit(X)
    again.transform(X)
    assert again.writer_.n_tokens > 0


def test_a_folder_is_read_when_a_text_is_missing(model, tokenizer, rewriter, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    options = {"tokenizer": None, "memory": tmp_path / "memory", "dtype": "float64"}
    made = rewriter(str(folder), **options).fit_transform(X)
    assert list(made["summary"]) == list(rewriter().fit_transform(X)["summary"])
    monkeypatch.setattr("skrec.text._causal.load_causal", None)  # would fail if it were called
    assert rewriter(str(folder), **options).fit_transform(X).equals(made)


def test_chat_template(model, tokenizer, rewriter):
    talking = copy.deepcopy(tokenizer)
    talking.chat_template = (
        "{% for m in messages %}[CLS] {{ m.content }} {% endfor %}"
        "{% if add_generation_prompt %}word1{% endif %}"
    )
    prompts = rewriter(tokenizer=talking).fit(X).writer_._ids("red fox")
    assert prompts == talking("[CLS] red fox word1", add_special_tokens=False)["input_ids"]
    plain = rewriter(tokenizer=talking, chat=False).fit(X).writer_
    assert plain._ids("red fox") == tokenizer("red fox")["input_ids"][:-1]
    with pytest.raises(ValueError, match="chat=True needs a tokenizer with a chat template"):
        rewriter(chat=True).fit(X)


def test_long_values_are_cut_and_the_instruction_is_kept(tokenizer, rewriter):
    writer = rewriter(max_length=3).fit(X).writer_
    assert writer.cut(["the fox and the sea", "sea", "a b"]) == ["the fox and", "sea", "a b"]


def test_a_prompt_that_is_too_long_names_its_item(rewriter):
    long = X.assign(title=[*TITLES[:4], "sea " * 60])
    writing = rewriter(max_length=60).fit(long)
    with pytest.raises(
        RuntimeError, match=r"item 4: the prompt has 64 tokens.*the 40 of the model"
    ):
        writing.transform(long)
    assert list(writing.transform(X[:4])["summary"]) == list(
        rewriter().fit_transform(X[:4])["summary"]
    )
    assert rewriter(max_length=20).fit_transform(long)["summary"].notna().all()


def test_a_model_without_a_head_is_refused(rewriter):
    bert = BertModel(BertConfig(num_hidden_layers=1, hidden_size=8, num_attention_heads=2))
    with pytest.raises(TypeError, match="model must write texts: a causal language model"):
        rewriter(bert).fit(X)


@pytest.mark.parametrize("domain", PROMPTS)
def test_prompts_can_be_filled_in(domain):
    values = {"title", "category", "abstract", "genres", "author", "description", "brand"}
    for name, prompt in PROMPTS[domain].items():
        filled = prompt.format(**dict.fromkeys(values, "x"), history="1. x")
        assert "{" not in filled
        assert ("{history}" in prompt) == (name == "profile")
