"""From a trained method to one that can only predict, and fast."""

import copy
from typing import Final

import torch
from torch import nn

from geocomiss.engine.encoders import FoldedPair, folded_encoder, linear_of
from geocomiss.engine.layers import Dense
from geocomiss.engine.precision import Precision, folds
from geocomiss.methods import Method
from geocomiss.methods.features import FeaturePair
from geocomiss.methods.galileo import Galileo
from geocomiss.methods.separated import Branch
from geocomiss.nets import StaticEncoder, TempCNN

NUMBERS: Final[dict[Precision, torch.dtype]] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def prepared(method: Method, precision: Precision) -> Method:
    """A copy of a method for prediction alone, its encoders folded; itself where it has none to fold.

    Heads, fusion and everything after the encoders are computed in float32. Linear heads are laid out for
    oneDNN, too: torch takes 1.7 times as long for so few classes.

    Args:
        method: A trained method.
        precision: See `precision_of`.
    """
    if isinstance(method, Galileo):
        chosen = copy.deepcopy(method)
        chosen.precision = precision
        return chosen
    if not folds(method):
        return method
    fast = copy.deepcopy(method).eval()
    _fold(fast, NUMBERS[precision])
    return fast


def _fold(parent: nn.Module, dtype: torch.dtype) -> None:
    """Put folded encoders in the place of trained ones, all the way down."""
    for name, child in [*parent.named_children()]:
        if isinstance(child, FeaturePair):
            setattr(parent, name, FoldedPair(child, dtype))
        elif isinstance(child, TempCNN | StaticEncoder):
            setattr(parent, name, folded_encoder(child, dtype))
        elif isinstance(parent, Branch) and isinstance(child, nn.Linear):
            setattr(parent, name, Dense(*linear_of(child), torch.float32, positive=False))
        else:
            _fold(child, dtype)
