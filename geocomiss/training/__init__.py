"""Training: from a table of samples to a model and its card."""

from geocomiss.training.classes import classes_of
from geocomiss.training.loop import Epoch, Labelled, Progress, Settings, fit
from geocomiss.training.workflow import INNER, Trained, TrainRequest, train_model

__all__ = [
    "INNER",
    "Epoch",
    "Labelled",
    "Progress",
    "Settings",
    "TrainRequest",
    "Trained",
    "classes_of",
    "fit",
    "train_model",
]
