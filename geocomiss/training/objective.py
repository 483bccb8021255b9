"""What training minimises: a method's own losses, unless something else teaches it."""

from typing import Protocol

import torch
from torch import Tensor

from geocomiss.batch import Batch
from geocomiss.methods import Losses, Method


class Objective(Protocol):
    """What a method learns from, and what tells when it has learnt enough."""

    def loss(self, method: Method, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """The loss terms of a batch, see `Method.loss`."""

    def monitored(self, method: Method, batch: Batch, y: Tensor) -> Tensor:
        """What early stopping watches, see `Method.monitored`."""


class Own:
    """The objective that a method brings with it."""

    def loss(self, method: Method, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """Its own loss."""
        return method.loss(batch, y, generator)

    def monitored(self, method: Method, batch: Batch, y: Tensor) -> Tensor:
        """What it has watched itself."""
        return method.monitored(batch, y)
