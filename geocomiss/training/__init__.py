"""Training: from a table of samples to a model and its card."""

from geocomiss.training.curve import draw_curve
from geocomiss.training.loop import Progress, Settings
from geocomiss.training.state import Epoch, begin, forget, unfinished_folder
from geocomiss.training.workflow import Trained, TrainRequest, train_model

__all__ = [
    "Epoch",
    "Progress",
    "Settings",
    "TrainRequest",
    "Trained",
    "begin",
    "draw_curve",
    "forget",
    "train_model",
    "unfinished_folder",
]
