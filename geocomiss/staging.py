"""Pixels onto the device that computes: while some are computed, the next ones travel.

A GPU reads pinned memory by itself, so that copying costs the program nothing but filling that memory; a
thread does so while kernels run.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from geocomiss.batch import Batch

PIXELS_AT_ONCE: Final = 16384
"""Pixels handed to a method at a time on a processor: bounds the memory that activations take."""
PIXELS_ON_GPU: Final = 8 * PIXELS_AT_ONCE
"""The same on a GPU: small products are over before the next one is launched."""


def at_once(device: torch.device | str) -> int:
    """Pixels handed to a method at a time."""
    return PIXELS_AT_ONCE if torch.device(device).type == "cpu" else PIXELS_ON_GPU


def parts(batch: Batch, device: torch.device | str) -> Iterator[Batch]:
    """A batch in parts on a device, in order.

    Args:
        batch: N pixels in this machine's memory, or on the device already.
        device: Where they are to be.
    """
    size = at_once(device)
    pieces = (batch[start : start + size] for start in range(0, len(batch), size))
    there = batch.kept.device.type == torch.device(device).type
    return pieces if there else travelling(pieces, torch.device(device))


def travelling(pieces: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """Batches on a device; while the caller works with one, the next one is copied.

    Args:
        pieces: Batches in this machine's memory.
        device: Where they are to be.
    """
    system: Any = torch.get_device_module(device)
    which = (device,) if device.type == "cuda" else ()  # a processor has but one stand-in of a stream
    lane = system.Stream(*which)

    def send() -> tuple[Batch, Any] | None:
        piece = next(pieces, None)
        if piece is None:
            return None
        with system.stream(lane):
            moved = piece.each(lambda tensor: _copied(tensor, device))
            arrived = system.Event()
            arrived.record(lane)
        return moved, arrived

    with ThreadPoolExecutor(1, "copy") as thread:
        coming = thread.submit(send)
        while (sent := coming.result()) is not None:
            coming = thread.submit(send)
            moved, arrived = sent
            here = system.current_stream(*which)
            arrived.wait(here)
            yield moved.each(partial(_used, by=here))


def _copied(tensor: Tensor, device: torch.device) -> Tensor:
    """On its way to a device."""
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def _used(tensor: Tensor, by: Any) -> Tensor:
    """A tensor whose memory is not given away before a stream has done with it."""
    if tensor.is_cuda:
        tensor.record_stream(by)
    return tensor
