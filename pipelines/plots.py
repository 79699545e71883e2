"""Answers in, figures for a run's record out."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from monitoring.problems import Floats
from pipelines.scores import calibration_curve


def calibration(pairs: Mapping[str, tuple[Floats, Floats]]) -> Figure:
    """Draw what each model said against what came, and how often the first of them said so.

    Args:
        pairs: by model, the probabilities and what came true (``scores.calibration_pairs``).

    """
    figure = Figure(figsize=(6, 7), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    above.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfect")
    for model, (probability, came) in pairs.items():
        curve = calibration_curve(probability, came)
        above.plot(curve["said"], curve["came"], marker="o", label=model.replace("_", " "))
    first = next(iter(pairs))
    below.hist(pairs[first][0], bins=40, range=(0, 1))
    above.set(ylabel="share that came true", title="Calibration on the hold-out")
    above.legend()
    below.set(xlabel="probability said", ylabel=f"rows, {first}")
    return figure
