"""Maximum over words and columns."""

import torch

from skrec import Items, content

WIDTH = 8
EXACT = {"rtol": 0, "atol": 1e-10}


def test_vector_is_the_maximum_of_the_columns_maxima(mixed):
    items = Items(mixed)
    operator = content.MaxPooling().fit(items)
    torch.manual_seed(0)
    module = operator.build(operator.schema_, WIDTH).double().eval()
    packed = operator.prepare(items)
    found = module(packed.take(torch.arange(8)))
    for code in range(8):
        rows = []
        for column, key in zip(module.schema, module.keys, strict=True):
            values, mask = packed.take(torch.tensor([code]))[column.name]
            layer = module.embeddings[key]
            if column.role in ("number", "vector"):
                rows.append(layer.weight @ values[0].double() + layer.bias)
            else:
                rows += [layer.weight[i] for i in values[0][mask[0]].tolist()]
        wanted = [max(row[d].item() for row in rows) for d in range(WIDTH)]
        torch.testing.assert_close(found[code].tolist(), wanted, **EXACT)


def test_a_text_without_words_is_left_out_and_not_read_as_zeros():
    items = Items({"item_id": [0, 1], "title": ["", "fox"], "length": [1.0, 2.0]})
    operator = content.MaxPooling().fit(items)
    module = operator.build(operator.schema_, WIDTH).double()
    with torch.no_grad():
        module.embeddings["1"].weight.fill_(-1.0)
        module.embeddings["1"].bias.fill_(-5.0)
    packed = operator.prepare(items)
    length = packed.columns["length"].values[0].double()
    assert module(packed.take(torch.tensor([0]))).tolist() == [[-5.0 - length.item()] * WIDTH]
