"""Tiny language models of many architectures, built from configurations in memory.

pytest puts this folder on the path, so tests say ``from tiny_models import tiny_model``.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

VOCABULARY = 400
WIDTH = 32

SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 70,
}
GROUPED = {**SMALL, "num_key_value_heads": 2, "head_dim": 8}

# name: model class, configuration class, and its parameters besides the number of layers
_MODELS = {
    "BERT": ("BertModel", "BertConfig", SMALL),
    "RoBERTa": ("RobertaModel", "RobertaConfig", SMALL),
    "DistilBERT": (
        "DistilBertModel",
        "DistilBertConfig",
        {"vocab_size": VOCABULARY, "dim": WIDTH, "n_heads": 4, "hidden_dim": 48},
    ),
    "MPNet": ("MPNetModel", "MPNetConfig", SMALL),
    "ELECTRA": ("ElectraModel", "ElectraConfig", {**SMALL, "embedding_size": 16}),
    "DeBERTa-v2": (
        "DebertaV2Model",
        "DebertaV2Config",
        {
            **SMALL,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "position_biased_input": False,
        },
    ),
    "ModernBERT": (
        "ModernBertModel",
        "ModernBertConfig",
        {**SMALL, "global_attn_every_n_layers": 2, "local_attention": 4, "pad_token_id": 0},
    ),
    "Llama": ("LlamaModel", "LlamaConfig", GROUPED),
    "Mistral": ("MistralModel", "MistralConfig", {**GROUPED, "sliding_window": 4}),
    "Qwen2": ("Qwen2Model", "Qwen2Config", {**GROUPED, "use_sliding_window": True}),
    "Qwen3": ("Qwen3Model", "Qwen3Config", GROUPED),
    "Gemma3": (
        "Gemma3TextModel",
        "Gemma3TextConfig",
        {**GROUPED, "sliding_window": 4, "sliding_window_pattern": 2},
    ),
    "Phi": ("PhiModel", "PhiConfig", SMALL),
    "OPT": (
        "OPTModel",
        "OPTConfig",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": WIDTH,
            "num_attention_heads": 4,
            "ffn_dim": 48,
            "max_position_embeddings": 70,
            "word_embed_proj_dim": 16,
        },
    ),
    "GPT-2": (
        "GPT2Model",
        "GPT2Config",
        {"vocab_size": VOCABULARY, "n_embd": WIDTH, "n_head": 4, "n_positions": 70},
    ),
    "GPT-NeoX": ("GPTNeoXModel", "GPTNeoXConfig", SMALL),
    "GLM": ("GlmModel", "GlmConfig", {**GROUPED, "pad_token_id": 0}),
    "BLOOM": (
        "BloomModel",
        "BloomConfig",
        {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "n_head": 4},
    ),
    "Falcon": (
        "FalconModel",
        "FalconConfig",
        {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "num_attention_heads": 4},
    ),
}
ARCHITECTURES = list(_MODELS)

_MORE = {
    "XLM-RoBERTa": ("XLMRobertaModel", "XLMRobertaConfig", SMALL),
    "CamemBERT": ("CamembertModel", "CamembertConfig", SMALL),
    # always calls its pooler
    "LayoutLM": ("LayoutLMModel", "LayoutLMConfig", SMALL),
    # its layers return lists
    "GPT": (
        "OpenAIGPTModel",
        "OpenAIGPTConfig",
        {"vocab_size": VOCABULARY, "n_embd": WIDTH, "n_head": 4, "n_positions": 70},
    ),
    # in float64 a window that ends before the last padding gives NaN in transformers itself
    "Gemma2": ("Gemma2Model", "Gemma2Config", GROUPED),
    "OLMo2": ("Olmo2Model", "Olmo2Config", {**GROUPED, "pad_token_id": 0}),
    "Cohere": ("CohereModel", "CohereConfig", GROUPED),
    "StableLM": ("StableLmModel", "StableLmConfig", GROUPED),
    # the forward pass looks up the kind of each layer by its position
    "Qwen2, sliding above": (
        "Qwen2Model",
        "Qwen2Config",
        {**GROUPED, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ),
    "Falcon, alibi": (
        "FalconModel",
        "FalconConfig",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": WIDTH,
            "num_attention_heads": 4,
            "alibi": True,
        },
    ),
}
# for tests of what a model's forward pass may do; the others go over ARCHITECTURES
MORE_ARCHITECTURES = list(_MORE)


def tiny_model(name, n_layers=3, seed=0, dtype=torch.float32):
    """Build a random model of one of (MORE_)ARCHITECTURES, in evaluation mode."""
    import transformers

    model, config, parameters = (_MODELS | _MORE)[name]
    made = getattr(transformers, config)(num_hidden_layers=n_layers, **parameters)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return getattr(transformers, model)(made).to(dtype).eval()


def tiny_tokenizer(texts):
    """Make a tokenizer that knows the words of some texts, up to VOCABULARY, in order of use."""
    from transformers import PreTrainedTokenizerFast

    words = dict.fromkeys(word for text in texts for word in text.lower().split())
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    known = [*special, *words][:VOCABULARY]
    vocabulary = {word: at for at, word in enumerate(known)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)


TOKENS = torch.tensor([[5, 9, 77, 3, 8], [6, 2, 7, 4, 1]])  # two texts without padding


@torch.no_grad()
def hidden(model):
    """Return the last hidden states of `TOKENS`."""
    return model(input_ids=TOKENS, attention_mask=torch.ones_like(TOKENS)).last_hidden_state


def train(model, scale=0.3):
    """Add different noise to each trained weight, in place of training."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.data += scale * noise.to(parameter.dtype)
    return model


def projected(network, pooled):
    """Return the vectors of pooled states, as the network of a language model computes them."""
    return network.project(pooled / pooled.norm(dim=-1, keepdim=True))


def save_tiny(folder, texts, name="BERT", **parameters):
    """Save a tiny model and its tokenizer where from_pretrained can read both."""
    tiny_model(name, **parameters).save_pretrained(folder)
    tiny_tokenizer(texts).save_pretrained(folder)
    return str(Path(folder))


def write_gguf(path, model):
    """Write a tiny Llama in the format of llama.cpp, with a vocabulary of characters."""
    gguf = pytest.importorskip("gguf")
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    tokens = ["<unk>", "<s>", "</s>", *"abcdefgh", "ab", "abc"]
    tokens += [f"<{at}>" for at in range(len(tokens), config.vocab_size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["a b", "ab c"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weight in model.state_dict().items():
        values = weight.numpy()
        if "q_proj" in name or "k_proj" in name:  # llama.cpp rotates adjacent entries
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            split = values.reshape(heads, 2, -1, values.shape[1])
            values = np.ascontiguousarray(split.swapaxes(1, 2)).reshape(values.shape)
        known = names.get_name(f"model.{name}", try_suffixes=(".weight",))
        writer.add_tensor(known, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
