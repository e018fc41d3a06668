"""Two goes through the layers are one: what a token joins midway is what the network itself computes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from sentence_transformers import SentenceTransformer

from shopgraph.text.backbone import layers_of
from shopgraph.text.layers import embedded, through

TEXTS = ["green tea from the hills of darjeeling", "tea", "红葡萄酒"]


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_any_cut_gives_what_the_network_gives(each_tiny: Callable[[], SentenceTransformer], cut: int):
    model = each_tiny().eval()
    network, read = model.transformers_model, model[0].preprocess(TEXTS)
    ids, mask = read["input_ids"], read["attention_mask"]
    with torch.no_grad():
        whole = network(input_ids=ids, attention_mask=mask).last_hidden_state
        lower = through(network, embedded(network, ids), mask, 0, cut)
        parts = through(network, lower, mask, cut)
    real = mask.bool()
    assert torch.allclose(parts[real], whole[real], atol=1e-6)
    assert cut in (0, len(layers_of(network))) or not torch.allclose(lower[real], whole[real], atol=1e-2)
