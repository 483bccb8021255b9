"""Training: from a table of samples to a model and its card."""

from geocomiss.training.classes import classes_of
from geocomiss.training.curve import draw_curve
from geocomiss.training.loop import Labelled, Progress, Settings, fit
from geocomiss.training.plan import INNER, TrainRequest
from geocomiss.training.state import Epoch, check_unfinished, forget, unfinished_folder
from geocomiss.training.workflow import Trained, train_model

__all__ = [
    "INNER",
    "Epoch",
    "Labelled",
    "Progress",
    "Settings",
    "TrainRequest",
    "Trained",
    "check_unfinished",
    "classes_of",
    "draw_curve",
    "fit",
    "forget",
    "train_model",
    "unfinished_folder",
]
