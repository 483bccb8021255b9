"""Training: from a table of samples to a model and its card."""

from geocomiss.training.loop import Epoch, Progress, Settings
from geocomiss.training.workflow import Trained, TrainRequest, train_model

__all__ = ["Epoch", "Progress", "Settings", "TrainRequest", "Trained", "train_model"]
