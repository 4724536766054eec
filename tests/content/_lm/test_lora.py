"""LoRA adapters: where they are added, what stays unchanged, and merging into a whole model."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from peft import AdaLoraConfig, IA3Config, LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
from tiny_models import ARCHITECTURES, TOKENS, hidden, tiny_model, train

from skrec.content._lm import add_adapters, check_lora, layer_list, split_top, whole_model

pytestmark = [
    # peft's constructor, which these tests call, uses a deprecated name of transformers
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated"),
    # peft takes a bias, which has one axis, for a part of a sharded matrix
    pytest.mark.filterwarnings("ignore:.*LoRA tensor.*invalid shape"),
]


def adapted(name, lora=4, n_frozen=1, dtype=torch.float64):
    """Return a model, a copy with adapters above the frozen layers, and the configuration."""
    model = tiny_model(name, dtype=dtype)
    copied = copy.deepcopy(model)
    torch.manual_seed(0)
    config = add_adapters(copied, layer_list(copied)[1][n_frozen:], lora)
    return model, copied, config


def adapted_top(name, lora=4, n_frozen=1, n_layers=3):
    """Return a model, its top layers with trained adapters, and the configuration."""
    model = tiny_model(name, n_layers=n_layers, dtype=torch.float64)
    top = split_top(model, n_frozen)
    torch.manual_seed(0)
    config = add_adapters(top.model, layer_list(top.model)[1][n_frozen:], lora)
    train(top.model)
    return model, top.eval(), config


def modules_with_adapters(model):
    return [name for name, module in model.named_modules() if isinstance(module, LoraLayer)]


@torch.no_grad()
def answer_of(top, model):
    """Return the output of the top for the prefix states of the whole model."""
    states = model(input_ids=TOKENS, output_hidden_states=True).hidden_states[top.n_frozen]
    return top(states, torch.ones_like(TOKENS, dtype=torch.bool))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_only_the_trained_layers_have_adapters(name):
    model, copied, config = adapted(name)
    where, layers = layer_list(copied)
    at = {int(n.removeprefix(f"{where}.").split(".")[0]) for n in config.target_modules}
    assert at == set(range(1, len(layers)))
    trained = [n for n, p in copied.named_parameters() if p.requires_grad]
    assert trained and all(".lora_" in n for n in trained)
    frozen = [p for n, p in copied.named_parameters() if ".lora_" not in n]
    assert len(frozen) == len(list(model.parameters()))
    # new adapters do not change the output, trained ones do
    assert torch.equal(hidden(copied), hidden(model))
    answer = copied(input_ids=TOKENS).last_hidden_state
    weight = torch.randn(answer.shape, generator=torch.Generator().manual_seed(0))
    (answer * weight).sum().backward()
    torch.optim.SGD([p for p in copied.parameters() if p.requires_grad], lr=1.0).step()
    assert not torch.allclose(hidden(copied), hidden(model))


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_back_to_a_whole_model(name, tmp_path):
    model, copied, config = adapted(name)
    train(copied)
    expected = hidden(copied)
    merged = whole_model(copy.deepcopy(model), copied, config, merge_lora=True)
    assert type(merged) is type(model)
    assert merged.state_dict().keys() == model.state_dict().keys()
    torch.testing.assert_close(hidden(merged), expected, rtol=0, atol=1e-10)
    unmerged = whole_model(copy.deepcopy(model), copied, config, merge_lora=False)
    assert isinstance(unmerged, PeftModel)
    torch.testing.assert_close(hidden(unmerged.eval()), expected, rtol=0, atol=1e-10)
    unmerged.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(copy.deepcopy(model), tmp_path).eval()
    torch.testing.assert_close(hidden(again), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("merge_lora", [True, False])
def test_what_was_trained_stays_as_it_is(merge_lora):
    """language_model() can be called again, and training can continue."""
    model, top, config = adapted_top("BERT", LoraConfig(r=2, target_modules="all-linear"), 0, 4)
    before, named = copy.deepcopy(top.state_dict()), copy.deepcopy(config)
    whole_model(model, top.model, config, merge_lora)
    torch.testing.assert_close(top.state_dict(), before, rtol=0, atol=0)
    assert config == named


@pytest.mark.parametrize("merge_lora", [True, False])
def test_the_whole_model_has_the_number_type_of_what_was_trained(merge_lora):
    _, copied, config = adapted("BERT")
    train(copied)
    whole = whole_model(tiny_model("BERT", dtype=torch.float32), copied, config, merge_lora)
    torch.testing.assert_close(hidden(whole), hidden(copied), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_adapters_above_prefix_states_equal_those_in_the_whole_model(name):
    """Names of modules in a top mean the same modules in the whole model."""
    model, top, config = adapted_top(name)
    _, copied, same = adapted(name)
    assert config.target_modules == same.target_modules
    train(copied)
    expected = answer_of(top, model)
    torch.testing.assert_close(expected, hidden(copied), rtol=0, atol=1e-10)
    merged = whole_model(copy.deepcopy(model), top.model, config, merge_lora=True)
    torch.testing.assert_close(hidden(merged), expected, rtol=0, atol=1e-10)
    unmerged = whole_model(copy.deepcopy(model), top.model, config, merge_lora=False)
    torch.testing.assert_close(hidden(unmerged), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(hidden(unmerged.merge_and_unload()), expected, rtol=0, atol=1e-10)


def test_frozen_layers_stay_without_adapters_where_there_are_many_targets(tmp_path):
    """peft shortens 20 or more names to suffixes that are unique in the top, not in the whole."""
    lora = LoraConfig(r=2, target_modules="all-linear")
    model, top, config = adapted_top("Llama", lora, n_frozen=2, n_layers=6)
    names = modules_with_adapters(top.model)
    assert len(names) == 28 and config.target_modules == names
    unmerged = whole_model(copy.deepcopy(model), top.model, config, merge_lora=False)
    unmerged.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(copy.deepcopy(model), tmp_path)
    for whole in (unmerged, again):
        assert modules_with_adapters(whole.base_model.model) == names
        torch.testing.assert_close(hidden(whole), answer_of(top, model), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["BERT", "GPT-2", "Llama"])
def test_a_split_top_goes_back_into_the_whole_model(name):
    model = tiny_model(name, dtype=torch.float64)
    top = split_top(model, 2)
    train(top)
    whole = whole_model(copy.deepcopy(model), top.model, None, merge_lora=False)
    states = model(input_ids=TOKENS, output_hidden_states=True).hidden_states[2]
    with torch.no_grad():
        expected = top.eval()(states, torch.ones_like(TOKENS, dtype=torch.bool))
        torch.testing.assert_close(hidden(whole), expected, rtol=0, atol=1e-10)
        assert not torch.allclose(hidden(whole), hidden(model))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_equals_a_model_that_peft_made(name):
    """Compare with a model that peft built with its own targets and our weights."""
    model, copied, _ = adapted(name, n_frozen=0)
    train(copied)
    known = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
    model.pooler = None  # "all-linear" would adapt it, although its output is not used
    targets = None if model.config.model_type in known else "all-linear"
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=targets,
        fan_in_fan_out=name == "GPT-2",
    )
    twin = get_peft_model(model, config).eval()
    assert modules_with_adapters(twin.base_model.model) == modules_with_adapters(copied)
    own = dict(copied.named_parameters())
    with torch.no_grad():
        for key, parameter in twin.named_parameters():
            parameter.copy_(own[key.removeprefix("base_model.model.")])
    torch.testing.assert_close(hidden(copied), hidden(twin), rtol=0, atol=1e-12)


SELF = "attention.self"
DENSE = {"attention.output.dense", "intermediate.dense", "output.dense"}


@pytest.mark.parametrize(
    ("lora", "expected"),
    [
        (
            LoraConfig(),
            {f"2.{SELF}.query", f"2.{SELF}.value", f"1.{SELF}.query", f"1.{SELF}.value"},
        ),
        (LoraConfig(layers_to_transform=2), {f"2.{SELF}.query", f"2.{SELF}.value"}),
        (LoraConfig(layers_to_transform=[0, 1], target_modules=["key"]), {f"1.{SELF}.key"}),
        (LoraConfig(target_modules=["2.output.dense", "pooler.dense"]), {"2.output.dense"}),
        (LoraConfig(target_modules=r".*layer\.[02]\.\w+\.self\.key"), {f"2.{SELF}.key"}),
        (
            LoraConfig(
                target_modules="all-linear", exclude_modules=["dense", "1.attention.self.key"]
            ),
            {f"{at}.{SELF}.{kind}" for at in (1, 2) for kind in ("query", "value")}
            | {f"2.{SELF}.key"},
        ),
        (
            LoraConfig(target_modules=["dense"], exclude_modules=r".*\.1\..*"),
            {f"2.{name}" for name in DENSE},
        ),
    ],
    ids=range(7),
)
def test_targets_of_a_configuration(lora, expected):
    """Suffixes, regular expressions, layers and exclusions mean the same as in peft."""
    _, copied, config = adapted("BERT", lora)
    assert {name.removeprefix("encoder.layer.") for name in config.target_modules} == expected
    assert modules_with_adapters(copied) == config.target_modules
    # the full names replace these settings
    assert config.exclude_modules is config.layers_to_transform is None


@pytest.mark.parametrize(
    ("targets", "given"),
    [(["q_proj", "c_attn"], r"\['c_attn', 'q_proj'\]"), ("query", "'query'"), ([], r"\[\]")],
)
def test_targets_that_fit_nothing_are_refused_with_what_there_is(targets, given):
    names = "'dense', 'key', 'query', 'value'"
    match = f"fits no linear layer.*'target_modules': {given}.*{names}.*'encoder.layer.1.attention"
    with pytest.raises(ValueError, match=match):
        adapted("BERT", LoraConfig(target_modules=targets))


def test_an_architecture_whose_known_targets_are_absent_gets_all_linear_layers():
    model = tiny_model("BERT")
    model.config.model_type = "llama"
    config = add_adapters(model, layer_list(model)[1][2:], 4)
    assert len(config.target_modules) == 6


def test_a_model_with_adapters_is_refused():
    model = tiny_model("BERT")
    model.add_adapter(LoraConfig(target_modules=["query"]))
    with pytest.raises(ValueError, match="BertModel has adapters already; merge them"):
        add_adapters(model, layer_list(model)[1], 4)


@pytest.mark.parametrize("rank", [4, np.int64(4)])
def test_an_int_makes_alpha_twice_the_rank(rank):
    _, _, config = adapted("BERT", rank)
    assert (config.r, config.lora_alpha, config.lora_dropout) == (4, 8, 0.0)
    assert type(config.r) is int  # numpy ints are not serializable as JSON


def test_the_given_configuration_is_left_alone():
    given = LoraConfig(r=2, use_dora=True)
    before = copy.deepcopy(given)
    _, copied, _ = adapted("BERT", given)
    assert given == before
    assert any("magnitude" in name for name, _ in copied.named_parameters())


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_the_configuration_can_be_kept(copier):
    """The estimator contains it, and is cloned and pickled."""
    model, top, config = adapted_top("BERT")
    assert copier(config) == config
    unmerged = whole_model(copy.deepcopy(model), top.model, copier(config), merge_lora=False)
    torch.testing.assert_close(hidden(unmerged), answer_of(top, model), rtol=0, atol=1e-10)


def test_a_configuration_of_saved_adapters_is_trained_again(tmp_path):
    model = tiny_model("BERT")
    get_peft_model(model, LoraConfig(r=2, task_type="SEQ_CLS")).save_pretrained(tmp_path)
    read = LoraConfig.from_pretrained(tmp_path)
    assert read.inference_mode
    read.base_model_name_or_path = "another/model"
    model, copied, config = adapted("BERT", read)
    assert sum(p.requires_grad for p in copied.parameters()) == 8
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # peft warns about another base model
        whole_model(model, copied, config, merge_lora=False)


@pytest.mark.parametrize(
    ("name", "lora"),
    [
        ("BERT", LoraConfig(r=2, use_dora=True, rank_pattern={"query": 3})),
        (
            "BERT",
            LoraConfig(use_rslora=True, rank_pattern={"2.*value": 3}, alpha_pattern={"query": 5}),
        ),
        ("BERT", LoraConfig(lora_bias=True)),
        ("BERT", LoraConfig(init_lora_weights="orthogonal", target_modules="all-linear")),
        ("BERT", LoraConfig(lora_dropout=0.5)),
        ("Llama", LoraConfig(task_type="CAUSAL_LM")),
        ("GPT-2", LoraConfig(use_dora=True, target_modules="all-linear")),
        ("GPT-2", LoraConfig(fan_in_fan_out=False)),
        ("BERT", LoraConfig(fan_in_fan_out=True)),
    ],
    ids=range(9),
)
def test_what_a_configuration_asks_comes_back_whole(name, lora, tmp_path):
    check_lora(lora)
    model, top, config = adapted_top(name, lora)
    expected = answer_of(top, model)
    merged = whole_model(copy.deepcopy(model), top.model, config, merge_lora=True)
    torch.testing.assert_close(hidden(merged), expected, rtol=0, atol=1e-10)
    unmerged = whole_model(copy.deepcopy(model), top.model, config, merge_lora=False)
    torch.testing.assert_close(hidden(unmerged), expected, rtol=0, atol=1e-10)
    unmerged.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(copy.deepcopy(model), tmp_path)
    torch.testing.assert_close(hidden(again), expected, rtol=0, atol=1e-10)


def test_patterns_of_ranks_hold():
    _, copied, _ = adapted("BERT", LoraConfig(r=2, rank_pattern={"query": 3}))
    ranks = {n: len(p) for n, p in copied.named_parameters() if ".lora_A." in n}
    assert ranks and all(rank == (3 if "query" in n else 2) for n, rank in ranks.items())


def test_adapters_of_a_model_at_rest_drop_nothing():
    _, copied, _ = adapted("BERT", LoraConfig(lora_dropout=0.5))
    train(copied)
    assert torch.equal(hidden(copied), hidden(copied))


def test_built_anew_it_has_the_same_names_and_start():
    _, first, _ = adapted("BERT")
    _, second, _ = adapted("BERT")
    assert list(first.state_dict()) == list(second.state_dict())
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    train(first)
    second.load_state_dict({n: p for n, p in first.named_parameters() if p.requires_grad}, False)
    assert torch.equal(hidden(first), hidden(second))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_adapters_of_short_weights_are_float32(dtype):
    model, copied, config = adapted("Llama", LoraConfig(use_dora=True), dtype=dtype)
    assert {p.dtype for p in copied.parameters() if p.requires_grad} == {torch.float32}
    train(copied)
    unmerged = whole_model(copy.deepcopy(model), copied, config, merge_lora=False)
    assert torch.equal(hidden(unmerged), hidden(copied))
    merged = whole_model(copy.deepcopy(model), copied, config, merge_lora=True)
    assert hidden(merged).dtype == dtype
    torch.testing.assert_close(hidden(merged), hidden(copied), rtol=0, atol=0.1)


@pytest.mark.parametrize("targets", [None, "all-linear"])
def test_conv1d_of_gpt2_warns_of_nothing(targets):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, copied, config = adapted("GPT-2", LoraConfig(target_modules=targets))
        whole_model(copy.deepcopy(model), copied, config, merge_lora=False)
        whole_model(copy.deepcopy(model), copied, config, merge_lora=True)
    assert config.fan_in_fan_out


@pytest.mark.parametrize(
    ("lora", "error", "match"),
    [
        (0, ValueError, "lora must be a positive int, got 0"),
        (True, ValueError, "lora must be a positive int, got True"),
        (np.int64(-1), ValueError, "lora must be a positive int"),
        (2.0, TypeError, "a rank, a peft.LoraConfig, a folder or None, got 2.0"),
        (LoraConfig(bias="all"), ValueError, "lora.bias must be 'none'.*got 'all'"),
        (LoraConfig(modules_to_save=[""]), ValueError, "modules_to_save must be a list of names"),
        (LoraConfig(modules_to_save="pooler"), ValueError, "must be a list of names or None, got"),
        (LoraConfig(init_lora_weights="pissa"), ValueError, "leave the model's weights as they"),
        (LoraConfig(r=0), ValueError, "lora.r must be a positive int, got 0"),
        (LoraConfig(use_qalora=True), ValueError, "lora.use_qalora must be False"),
        (LoraConfig(trainable_token_indices=[1, 1]), ValueError, "a list of different token ids"),
        (LoraConfig(trainable_token_indices=[-1]), ValueError, "a list of different token ids"),
        (
            LoraConfig(trainable_token_indices={"a": [1], "b": [2]}),
            ValueError,
            "must name one table of embeddings, got",
        ),
        (LoraConfig(layer_replication=[(0, 2)]), ValueError, "lora.layer_replication must be None"),
        (LoraConfig(target_parameters=["w"]), ValueError, "lora.target_parameters must be None"),
        (LoraConfig(target_modules="(q"), ValueError, "lora.target_modules must be a regular expr"),
        (LoraConfig(exclude_modules="*q"), ValueError, "lora.exclude_modules must be a regular ex"),
        (IA3Config(), TypeError, "a rank, a peft.LoraConfig, a folder or None, got IA3Config"),
        (AdaLoraConfig(total_step=9), TypeError, "a folder or None, got AdaLoraConfig"),
    ],
)
def test_what_is_refused(lora, error, match):
    with pytest.raises(error, match=match):
        check_lora(lora)
