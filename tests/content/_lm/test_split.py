"""Split mode is exact: prefix and top together equal the whole model, split at any layer."""

import copy

import pytest
import torch
from tiny_models import ARCHITECTURES, MORE_ARCHITECTURES, VOCABULARY, tiny_model

from skrec.content._lm import (
    Prefix,
    Replay,
    check_padding,
    checkpoint_activations,
    layer_list,
    max_tokens,
    split_top,
)
from skrec.content._lm.network import LanguageModelNetwork

N_LAYERS = 3
ALL = [*ARCHITECTURES, *MORE_ARCHITECTURES]
LENGTHS = torch.tensor([9, 5, 1])
MASK = torch.arange(9) < LENGTHS.unsqueeze(1)
IDS = torch.randint(4, VOCABULARY, MASK.shape, generator=torch.Generator().manual_seed(0))
IDS = IDS.masked_fill(~MASK, 0)
# bound of the rounding error of bfloat16 states after the top layers, relative to the largest
# hidden state; the architectures have 0.0015 to 0.003
BF16_BOUND = 0.01


def whole(model):
    return model(input_ids=IDS, attention_mask=MASK.long()).last_hidden_state


def prefix_states(model, n_frozen):
    return Prefix(copy.deepcopy(model), n_frozen).states(IDS, MASK).clone()


@pytest.mark.parametrize("n_frozen", range(1, N_LAYERS))
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("dtype", "atol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["float64", "float32"]
)
def test_split_forward_equals_whole_forward(name, n_frozen, dtype, atol):
    model = tiny_model(name, N_LAYERS, dtype=dtype)
    states = prefix_states(model, n_frozen)
    answer = split_top(model, n_frozen).eval()(states, MASK)
    torch.testing.assert_close(answer[MASK], whole(model)[MASK], rtol=0, atol=atol)


@pytest.mark.parametrize("name", ALL)
def test_all_layers_frozen_gives_the_last_hidden_states(name):
    model = tiny_model(name, N_LAYERS, dtype=torch.float64)
    torch.testing.assert_close(
        prefix_states(model, N_LAYERS)[MASK], whole(model)[MASK], rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("name", ALL)
def test_padding_and_neighbours_change_nothing(name):
    model = tiny_model(name, N_LAYERS, dtype=torch.float64)
    top = split_top(model, 2).eval()
    together = top(prefix_states(model, 2), MASK)
    prefix = Prefix(copy.deepcopy(model), 2)
    for row, length in enumerate(LENGTHS):
        one = MASK[row : row + 1, :length]
        alone = top(prefix.states(IDS[row : row + 1, :length], one).clone(), one)
        # these compute positions or norms in float32, and round differently for other lengths
        atol = 1e-6 if name in ("BLOOM", "Gemma2") else 1e-10
        torch.testing.assert_close(together[row, :length], alone[0], rtol=0, atol=atol)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("n_frozen", range(1, N_LAYERS))
@pytest.mark.parametrize("name", ALL)
def test_gradients_of_the_top_equal_those_of_the_whole(name, n_frozen, checkpointing):
    model = tiny_model(name, N_LAYERS, dtype=torch.float64)
    top = split_top(model, n_frozen)
    for module in (*model.modules(), *top.modules()):
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for dropout in ("dropout", "attention_dropout", "hidden_dropout"):
            if isinstance(getattr(module, dropout, None), float):
                setattr(module, dropout, 0.0)
    if checkpointing:
        if not model.supports_gradient_checkpointing:
            with pytest.raises(ValueError, match="can't do gradient_checkpointing"):
                checkpoint_activations(top.model)
            return
        checkpoint_activations(top.model)
        top.train()
    weight = torch.randn(*MASK.shape, 1, generator=torch.Generator().manual_seed(1)).double()
    # two forward passes before the backward pass must not mix up their prefix states
    states = prefix_states(model, n_frozen)
    loss = (top(states, MASK) * weight)[MASK].pow(2).sum()
    loss = loss + (top(2 * states[:1], MASK[:1])).sum() * 0
    loss.backward()
    (whole(model) * weight)[MASK].pow(2).sum().backward()
    expected = dict(model.named_parameters())
    trained = {n: p for n, p in top.model.named_parameters() if p.requires_grad}
    layers, _ = layer_list(model)
    assert {f"{layers}.{at}" for at in range(n_frozen, N_LAYERS)} == {
        ".".join(n.split(".")[: layers.count(".") + 2]) for n in trained if n.startswith(layers)
    }
    for name, parameter in trained.items():
        torch.testing.assert_close(
            parameter.grad, expected[name].grad, rtol=1e-9, atol=1e-10, msg=name
        )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_weights_below_the_split_are_frozen_and_gone(name):
    model = tiny_model(name, N_LAYERS)
    top = split_top(model, 2)
    where, layers = layer_list(top.model)
    assert [isinstance(layer, Replay) for layer in layers] == [True, True, False]
    assert not [n for n, _ in top.model.named_parameters() if n.startswith(f"{where}.0.")]
    assert top.model.get_input_embeddings().num_embeddings == 1
    # apart from requires_grad, the whole model is unchanged
    assert not any(isinstance(layer, Replay) for layer in layer_list(model)[1])
    assert model.get_input_embeddings().num_embeddings == VOCABULARY


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_final_norm_is_trained_and_what_lower_layers_share_is_not(name):
    model = tiny_model(name, N_LAYERS)
    top = split_top(model, 2)
    where, layers = layer_list(top.model)
    outside = {
        n for n, p in top.model.named_parameters() if p.requires_grad and not n.startswith(where)
    }
    after = ("norm", "ln_f", "project_out")  # names of modules after the last layer
    assert all(any(part in n for part in after) for n in outside)
    assert not any("embed" in n or "bias_table" in n or "relative" in n for n in outside)


def test_no_layer_is_dropped():
    """States after k layers must be the input of layer k, counted from 0, and not of k + 1."""
    model = tiny_model("BERT", N_LAYERS, dtype=torch.float64)
    states = prefix_states(model, 1)
    ran = []
    top = split_top(model, 1).eval()
    for at, layer in enumerate(layer_list(top.model)[1]):
        layer.register_forward_hook(lambda *_, at=at: ran.append(at))
    top(states, MASK)
    assert ran == [0, 1, 2]
    assert not torch.allclose(top(prefix_states(model, 2), MASK), whole(model))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_bf16_states_differ_within_bounds(name, record_property):
    model = tiny_model(name, N_LAYERS)
    exact = whole(model)[MASK].detach()
    rounded = prefix_states(model, 2).to(torch.bfloat16)
    answer = split_top(model, 2).eval()(rounded, MASK)[MASK].detach()
    difference = float((answer - exact).abs().max() / exact.abs().max())
    record_property("largest_relative_difference", difference)
    assert 0 < difference < BF16_BOUND


def test_only_the_prefix_is_run():
    model = tiny_model("Llama", N_LAYERS)
    prefix = Prefix(model, 1)
    ran = []
    for at, layer in enumerate(layer_list(model)[1]):
        layer.register_forward_hook(lambda *_, at=at: ran.append(at))
    prefix.states(IDS, MASK)
    assert ran == [0]


def test_a_model_without_a_list_of_layers_is_refused():
    from transformers import AlbertConfig, AlbertModel

    config = AlbertConfig(
        vocab_size=50, hidden_size=16, embedding_size=8, num_attention_heads=2, num_hidden_layers=3
    )
    with pytest.raises(ValueError, match="AlbertModel has no list of 3 layers"):
        layer_list(AlbertModel(config))


def test_a_model_whose_upper_layers_need_more_than_the_states_is_refused():
    # the lowest layer of T5 passes position biases to the others; XLNet has (L, U, H) states
    from transformers import T5Config, T5EncoderModel, XLNetConfig, XLNetModel

    config = T5Config(vocab_size=VOCABULARY, d_model=16, d_kv=4, d_ff=16, num_layers=3, num_heads=4)
    model = T5EncoderModel(config).double().eval()
    for n_frozen in (1, 2):
        with pytest.raises(ValueError, match="T5EncoderModel can't be split: its upper layers"):
            split_top(model, n_frozen)
    torch.testing.assert_close(split_top(model, 0).eval()(IDS, MASK)[MASK], whole(model)[MASK])
    torch.testing.assert_close(prefix_states(model, 3)[MASK], whole(model)[MASK])
    config = XLNetConfig(vocab_size=VOCABULARY, d_model=16, n_layer=3, n_head=4, d_inner=16)
    with pytest.raises(ValueError, match="XLNetModel can't be split: its upper layers"):
        split_top(XLNetModel(config), 1)


def test_a_model_that_calls_its_layers_in_its_own_way_is_refused():
    from transformers import SqueezeBertConfig, SqueezeBertModel

    config = SqueezeBertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        embedding_size=16,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=16,
    )
    with pytest.raises(ValueError, match="SqueezeBertModel can't be split: its layers are called"):
        split_top(SqueezeBertModel(config), 1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("name", ALL)
def test_half_precision_is_not_refused(name, dtype):
    assert split_top(tiny_model(name, N_LAYERS, dtype=dtype), 1).n_frozen == 1


def test_a_model_that_computes_between_its_layers_is_refused_there_and_there_only():
    from transformers import DebertaV2Config, DebertaV2Model

    config = DebertaV2Config(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=16,
        conv_kernel_size=3,
    )
    model = DebertaV2Model(config).double().eval()
    with pytest.raises(ValueError, match="computes between its layers 0 and 1"):
        split_top(model, 1)
    answer = split_top(model, 2).eval()(prefix_states(model, 2), MASK)
    torch.testing.assert_close(answer[MASK], whole(model)[MASK], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "longest"),
    [("BERT", 70), ("RoBERTa", 68), ("MPNet", 68), ("Llama", 70), ("BLOOM", None)],
)
def test_max_tokens(name, longest):
    assert max_tokens(tiny_model(name)) == longest


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_batch_over_the_token_budget_is_computed_again_and_equals_one_at_once(
    monkeypatch, dropout
):
    model = tiny_model("BERT", N_LAYERS, dtype=torch.float64)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    torch.manual_seed(0)
    network = LanguageModelNetwork(split_top(model, 1), "attention", 32, 8).double().train()
    states = prefix_states(model, 1)
    monkeypatch.setattr("skrec.content._lm.network.PART_ON_CPU", 8)
    ran = []
    layer_list(network.top.model)[1][2].register_forward_hook(
        lambda _, args, answer: ran.append(args[0].shape[1])
    )
    gradients = []
    for budget in (100, 10):
        monkeypatch.setattr("skrec.content._lm.network.TOKEN_BUDGET", budget)
        network.zero_grad()
        torch.manual_seed(1)
        network({"states": (states, MASK)}).pow(2).sum().backward()
        gradients.append({n: p.grad for n, p in network.named_parameters() if p.requires_grad})
    assert ran[:3] == [1, 5, 9]
    assert sorted(ran[3:]) == [1, 1, 5, 5, 9, 9]  # the backward pass recomputes each micro-batch
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=1e-12)
    assert all(gradient.abs().sum() > 0 for gradient in gradients[1].values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_padding_is_found_harmless(name, dtype):
    check_padding(tiny_model(name, N_LAYERS, dtype=dtype))


def test_a_model_that_reads_its_padding_is_refused():
    from transformers import ConvBertConfig, ConvBertModel

    torch.manual_seed(0)
    config = ConvBertConfig(
        vocab_size=50,
        hidden_size=32,
        embedding_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        initializer_range=0.3,
    )
    with pytest.raises(ValueError, match="ConvBertModel lets padding change what it reads"):
        check_padding(ConvBertModel(config).eval())


def test_dropout_of_what_replays_answer_for_is_off():
    top = split_top(tiny_model("BERT", N_LAYERS), 2).train()
    assert not top.model.embeddings.dropout.training
    assert layer_list(top.model)[1][2].output.dropout.training
    assert split_top(tiny_model("BERT", N_LAYERS), 0).train().model.embeddings.dropout.training
