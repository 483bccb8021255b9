"""How sure a model may be: calibrated confidence, known class shares, expected accuracy."""

from geocomiss.calibration.error import calibration_error, reliability
from geocomiss.calibration.fitting import calibrate
from geocomiss.calibration.priors import read_priors
from geocomiss.calibration.readout import Readout
from geocomiss.calibration.stored import Calibration, PatternCalibration, caution, problem_of

__all__ = [
    "Calibration",
    "PatternCalibration",
    "Readout",
    "calibrate",
    "calibration_error",
    "caution",
    "problem_of",
    "read_priors",
    "reliability",
]
