"""Historical import path of the training callbacks."""

from mltk.models.shared.schedules import SteppedLearnRateScheduler

__all__ = ["SteppedLearnRateScheduler"]
