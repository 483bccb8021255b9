"""The class token alone goes through the last layer: the same numbers as of the whole transformer."""

import pytest
import torch
from torch import nn

from geocomiss.methods.timmil import HEADS, WIDER, ClassTransformer


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("training", [True, False])
def test_the_class_token_is_that_of_the_whole_transformer(layers, training):
    torch.manual_seed(0)
    quick = ClassTransformer(32, layers, 0.0).train(training)
    slow = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(32, HEADS, WIDER * 32, 0.0, batch_first=True), layers
    ).train(training)
    slow.load_state_dict(quick.state_dict())
    tokens = torch.randn(20, 5, 32)
    hidden = torch.cat([torch.zeros(20, 1, dtype=torch.bool), torch.rand(20, 4) < 0.5], 1)
    found, expected = quick(tokens, hidden), slow(tokens, src_key_padding_mask=hidden)[:, 0]
    assert torch.allclose(found, expected, atol=1e-6)
    found.square().sum().backward()
    expected.square().sum().backward()
    wanted = dict(slow.named_parameters())
    for key, parameter in quick.named_parameters():
        assert torch.allclose(parameter.grad, wanted[key].grad, atol=1e-4, rtol=1e-4), key


def test_the_same_share_of_the_class_token_is_dropped():
    torch.manual_seed(0)
    block = ClassTransformer(32, 1, 0.4).train()
    dropped = []
    for kind in ("dropout", "dropout1", "dropout2"):
        layer = getattr(block.layers[0], kind)
        layer.register_forward_hook(lambda _, given, found: dropped.append((given[0], found)))
    block(torch.randn(500, 5, 32), torch.zeros(500, 5, dtype=torch.bool))
    assert {tuple(given.shape) for given, _ in dropped} == {(500, 1, 32), (500, 1, WIDER * 32)}
    for given, found in dropped:
        share = (found[given != 0] == 0).float().mean()
        assert abs(share - 0.4) < 0.02
        assert torch.allclose(found[found != 0], given[found != 0] / 0.6)
