"""Sketches: rows in, summaries of bounded size out, which add up and travel as bytes.

A `WindowSketch` is filled batch by batch, merged with others, written and read back. Checks compare
the sketch of a version's training rows with the sketch of its answers.
"""

from monitoring.sketches.apache import CATEGORIES, RANK_ERROR, SHARE_ERROR
from monitoring.sketches.arrow import hash_ids
from monitoring.sketches.binary import DamagedSketchError, from_bytes, to_bytes
from monitoring.sketches.categories import CategorySketch
from monitoring.sketches.labels import Labels
from monitoring.sketches.numbers import NumberSketch
from monitoring.sketches.outcomes import Day, Outcomes
from monitoring.sketches.probabilities import ProbabilityBins
from monitoring.sketches.sample import RowSample
from monitoring.sketches.window import WindowSketch, sketch_training

__all__ = [
    "CATEGORIES",
    "RANK_ERROR",
    "SHARE_ERROR",
    "CategorySketch",
    "DamagedSketchError",
    "Day",
    "Labels",
    "NumberSketch",
    "Outcomes",
    "ProbabilityBins",
    "RowSample",
    "WindowSketch",
    "from_bytes",
    "hash_ids",
    "sketch_training",
    "to_bytes",
]
