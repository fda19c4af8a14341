"""Data sets: from files, arrays or drawings to one `Dataset`."""

from backlight.core.errors import Failure
from backlight.data.batch import Batch
from backlight.data.dataset import Dataset
from backlight.data.load import load_data, load_splits
from backlight.data.splits import Splits
from backlight.data.trained import TrainedOn, trained_on

__all__ = ["Batch", "Dataset", "Failure", "Splits", "TrainedOn", "load_data", "load_splits", "trained_on"]
