"""Architectures that differ from plain encoders and decoders: they work, or say why not."""

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_array_equal
from tiny_models import (
    ARCHITECTURES,
    GROUPED,
    MORE_ARCHITECTURES,
    SMALL,
    VOCABULARY,
    tiny_tokenizer,
)
from tiny_models import tiny_model as plain_model

import skrec
from skrec import ContentRecommender, content
from skrec.content._lm import add_adapters, layer_list, load_base

T5 = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_heads": 4,
}
BART = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "max_position_embeddings": 70,
    **{f"{part}_layers": 2 for part in ("encoder", "decoder")},
    **{f"{part}_attention_heads": 4 for part in ("encoder", "decoder")},
    **{f"{part}_ffn_dim": 48 for part in ("encoder", "decoder")},
}
LATENT = {
    **{"kv_lora_rank": 8, "q_lora_rank": 8},
    **{"qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8},
}
SHORT = {"vocab_size": VOCABULARY, "hidden_size": 32}
GROUPS = ("q", "k", "v", "intermediate", "output")
MODELS = {
    "T5Model": T5,
    "T5EncoderModel": T5,
    "UMT5Model": T5,
    "BartModel": BART,
    "MptModel": {
        **{"vocab_size": VOCABULARY, "d_model": 32, "n_heads": 4, "n_layers": 2},
        "max_seq_len": 70,
    },
    "Qwen3NextModel": {
        **{**GROUPED, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
        **{"shared_expert_intermediate_size": 16, "num_hidden_layers": 2},
        **{"linear_num_key_heads": 2, "linear_num_value_heads": 2},
        **{"linear_key_head_dim": 8, "linear_value_head_dim": 8},
        "layer_types": ["linear_attention", "full_attention"],
    },
    "DeepseekV3Model": {
        **{**GROUPED, **LATENT, "num_key_value_heads": 4, "num_hidden_layers": 2},
        **{"n_routed_experts": 4, "n_group": 2, "topk_group": 1, "num_experts_per_tok": 2},
        **{"first_k_dense_replace": 1, "moe_intermediate_size": 16},
    },
    "MambaModel": {**SHORT, "num_hidden_layers": 2},
    "FalconMambaModel": {**SHORT, "num_hidden_layers": 2},
    "Llama4TextModel": {
        **{**GROUPED, "num_hidden_layers": 2, "num_local_experts": 4},
        **{"intermediate_size_mlp": 48, "interleave_moe_layer_step": 1},
    },
    "XLNetModel": {
        **{"vocab_size": VOCABULARY, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}
    },
    "AlbertModel": {**SMALL, "num_hidden_layers": 2, "embedding_size": 16},
    "LongformerModel": {**SMALL, "num_hidden_layers": 2, "attention_window": 8},
    "SqueezeBertModel": {
        **{**SMALL, "num_hidden_layers": 2, "embedding_size": 32},
        **{f"{group}_groups": 2 for group in GROUPS},
    },
    "Gemma3nTextModel": {
        **{**GROUPED, "num_hidden_layers": 2, "vocab_size_per_layer_input": VOCABULARY},
        **{"hidden_size_per_layer_input": 8, "num_kv_shared_layers": 0, "laurel_rank": 4},
        **{"layer_types": ["full_attention"] * 2, "activation_sparsity_pattern": [0.0, 0.0]},
    },
    "CanineModel": {
        **{**SMALL, "num_hidden_layers": 2, "num_hash_buckets": 64, "local_transformer_stride": 8}
    },
}


def tiny_model(name):
    """Build a random model; of those with a decoder, the encoder, as our own message advises."""
    settings = dict(MODELS[name])
    config = name.removesuffix("EncoderModel").removesuffix("Model") + "Config"
    if name == "CanineModel":
        del settings["vocab_size"]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = getattr(transformers, name)(getattr(transformers, config)(**settings)).eval()
    return made.get_encoder() if hasattr(made, "decoder") else made


@pytest.fixture(scope="module")
def titles(news):
    return news.items[["item_id", "title"]].head(40)


@pytest.fixture(scope="module")
def rows(news, titles):
    row = list(titles["item_id"])[:6]
    return [row[:3], row[1:5], row[2:]]


@pytest.fixture
def fit(titles, rows):
    """Return a function that fits a small recommender around a model."""
    tokenizer = tiny_tokenizer(list(titles["title"]))

    def fit(model, kind=content.LanguageModel, **parameters):
        operator = kind(model, tokenizer=tokenizer, max_length=12, **parameters)
        return ContentRecommender(
            content=operator,
            behavior="mean_pooling",
            width=8,
            max_epochs=1,
            early_stopping=False,
            random_state=0,
        ).fit(rows, titles)

    return fit


def assert_comes_back(rec, folder):
    rec.save(folder, include_base=True)
    assert_array_equal(skrec.load(folder).item_vectors(), rec.item_vectors())


@pytest.mark.parametrize(
    "name", ["T5Model", "T5EncoderModel", "UMT5Model", "BartModel", "MptModel"]
)
@pytest.mark.parametrize("parameters", [{}, {"trainable_layers": 0}])
def test_encoders_without_their_decoder_are_saved_with_their_weights(
    name, parameters, fit, tmp_path
):
    assert_comes_back(fit(tiny_model(name), **parameters), tmp_path / "rec")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ARCHITECTURES, *MORE_ARCHITECTURES])
def test_every_architecture_is_saved_with_its_weights(name, fit, tmp_path):
    assert_comes_back(fit(plain_model(name, 2), trainable_layers=1), tmp_path / "rec")


@pytest.mark.parametrize("name", ["T5Model", "BartModel"])
def test_an_encoder_in_a_folder_is_the_same_model(name, tmp_path):
    model = tiny_model(name)
    model.save_pretrained(tmp_path)
    found = load_base(tmp_path)
    assert type(found.model) is type(model)
    assert found.fingerprint == load_base(model).fingerprint


def test_save_reads_what_it_wrote(fit, tmp_path, monkeypatch):
    """Without it, save would succeed and load would fail, when the model is long gone."""
    rec = fit(tiny_model("MptModel"), trainable_layers=0)
    kind = type(rec.content.model)
    write = kind.save_pretrained

    def save_pretrained(self, folder, **options):
        with torch.no_grad():
            next(self.parameters()).add_(1)
        write(self, folder, **options)

    monkeypatch.setattr(kind, "save_pretrained", save_pretrained)
    with pytest.raises(ValueError, match="MptModel can't be saved: transformers writes them"):
        rec.save(tmp_path / "rec", include_base=True)
    assert not (tmp_path / "rec").exists()


@pytest.mark.parametrize(
    "name",
    ["Qwen3NextModel", "DeepseekV3Model", "MambaModel", "FalconMambaModel", "Llama4TextModel"],
)
def test_adapters_of_experts_and_state_spaces(name, fit):
    """The default adapters are where peft can add them, and can be merged."""
    rec = fit(tiny_model(name), lora=4, trainable_layers=1)
    adapted = [n for n, _ in rec.network_.named_parameters() if ".lora_" in n]
    assert adapted and not any("experts.lora" in n or "base_layer.lora" in n for n in adapted)
    merged = rec.content_.language_model(merge_lora=True)
    assert merged.state_dict().keys() == tiny_model(name).state_dict().keys()
    assert type(rec.content_.language_model()).__name__ == "PeftModel"


@pytest.mark.parametrize(
    ("name", "target"), [("DeepseekV3Model", "down_proj"), ("MambaModel", "out_proj")]
)
def test_adapters_that_peft_can_not_add_are_refused_with_a_choice(name, target):
    from peft import LoraConfig

    model = load_base(tiny_model(name)).model
    with pytest.raises(ValueError, match=rf"\['{target}'\], which can't have adapters.*take some"):
        add_adapters(model, layer_list(model)[1], LoraConfig(target_modules=[target]))


@pytest.mark.parametrize("kind", [content.LanguageModel, content.SideNetwork])
def test_first_token_of_a_decoder_is_refused(kind, fit):
    """All items would have one vector."""
    with pytest.raises(
        ValueError, match="pooling='cls' reads the first token, which in LlamaModel"
    ):
        fit(plain_model("Llama", 2), kind, pooling="cls")


def test_first_token_of_an_encoder_is_read(fit):
    vectors = fit(plain_model("BERT", 2), pooling="cls", trainable_layers=0).item_vectors()
    assert np.ptp(vectors, axis=0).min() > 0


def test_xlnet_has_no_longest_text(fit):
    assert fit(tiny_model("XLNetModel")).n_epochs_ == 1


def test_albert_is_read_frozen(fit, tmp_path):
    """Its layers share weights, and there is no list of them; none is needed."""
    rec = fit(tiny_model("AlbertModel"), trainable_layers=0)
    assert_comes_back(rec, tmp_path / "rec")
    with pytest.raises(ValueError, match="AlbertModel has no list of 2 layers"):
        fit(tiny_model("AlbertModel"), content.SideNetwork)


def test_a_model_that_returns_tuples(fit):
    model = plain_model("BERT", 2)
    model.config.return_dict = False
    fit(model, trainable_layers=1)
    assert model.config.return_dict is False


def test_side_network_on_padded_states_equals_the_hidden_states(fit, titles):
    """Longformer pads texts to its window, between its layers too."""
    model = tiny_model("LongformerModel")
    rec = fit(model, content.SideNetwork, layers=[0, 1], cache_dtype="float32")
    packed = rec.content_.prepare(rec.items_.take([0]))
    found = packed.take(torch.tensor([0]))["states"][0].reshape(2, 32)
    ids = rec.content_.tokenizer_(titles["title"].iloc[0], truncation=True, max_length=12)
    ids = torch.tensor([ids["input_ids"]])
    with torch.no_grad():
        hidden = model(ids, torch.ones_like(ids), output_hidden_states=True).hidden_states
    for at in (0, 1):
        expected = hidden[at][0, : ids.shape[1]].mean(dim=0)
        torch.testing.assert_close(found[at], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("SqueezeBertModel", "calls them in a way of its own"),
        ("Gemma3nTextModel", r"have the shape \(4, 40, 12, 32\), not \(40, 12, 32\)"),
        ("XLNetModel", r"have the shape \(12, 40, 32\), not \(40, 12, 32\)"),
    ],
)
def test_side_network_says_why_it_can_not_read_layers(name, why, fit):
    with pytest.raises(ValueError, match=f"the layers of {name} can't be read: .*{why}"):
        fit(tiny_model(name), content.SideNetwork)
    assert fit(tiny_model(name), content.SideNetwork, layers=[2]).n_epochs_ == 1


def test_canine_can_not_read_short_texts(fit):
    with pytest.raises(ValueError, match="CanineModel can't read a text of one token"):
        fit(tiny_model("CanineModel"), trainable_layers=0)
