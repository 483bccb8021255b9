"""Galileo the plain way: all tokens of every pixel, for comparison."""

import torch
import torch.nn.functional as F

from geocomiss.methods.galileo import ROWS
from geocomiss.pretrained.galileo import GROUPS, SPACE_TIME, TIME


def plain(encoder, values, seen, months):
    """All 127 tokens of every pixel, hidden ones masked as keys: simple, and slow."""
    tokens, there = [], []
    for name, channels in GROUPS.items():
        steps = months.shape[1] if name in SPACE_TIME or name in TIME else 1
        x = values.get(name, torch.zeros(len(months), steps, channels))
        tokens.append(F.linear(x, *encoder.projections((name,))[name]) + encoder._where(name, months))
        there.append(seen.get(name, torch.zeros(x.shape[:2], dtype=torch.bool)))
    x, mask = torch.cat(tokens, 1), torch.cat(there, 1)
    for block in encoder.blocks:
        attention, hidden = block.attn, block.norm1(x)
        layers = (attention.q, attention.k, attention.v)
        q, k, v = (layer(hidden).unflatten(2, (attention.heads, -1)).transpose(1, 2) for layer in layers)
        scores = (q @ k.transpose(2, 3) * q.shape[3] ** -0.5).masked_fill(~mask[:, None, None], -1e9)
        x = x + attention.proj((scores.softmax(3) @ v).transpose(1, 2).flatten(2))
        x = x + block.mlp(block.norm2(x))
    weights = mask.to(x)[..., None]
    return (encoder.norm(x) * weights).sum(1) / weights.sum(1)


def plain_in_chunks(encoder, values, seen, months):
    """The plain one, as many pixels at once as the other takes: large ones would be slower still."""
    done = []
    for start in range(0, len(months), ROWS):
        part = slice(start, start + ROWS)
        cut = ({name: rows[part] for name, rows in each.items()} for each in (values, seen))
        done.append(plain(encoder, *cut, months[part]))
    return torch.cat(done)


def inputs_of(method, batch):
    """The encoder's inputs, as the method makes them."""
    held = []
    handle = method.encoder.register_forward_pre_hook(lambda module, inputs: held.append(inputs))
    method.encode(batch, batch.available)
    handle.remove()
    values, seen, months = held[0][:3]
    return values, seen, months
