"""Answers in, figures for a run's record out."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from pipelines.scores import calibration_curve


def calibration(answers: pd.DataFrame, label: str, models: Sequence[str]) -> Figure:
    """Draw what each model said against what came, and how often the first of them said so.

    Args:
        answers: the label and one column of probabilities a model.
        label: name of the label's column.
        models: names of the columns of probabilities.

    """
    figure = Figure(figsize=(6, 7), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    above.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfect")
    for model in models:
        curve = calibration_curve(answers[label], answers[model])
        above.plot(curve["said"], curve["came"], marker="o", label=model.replace("_", " "))
    below.hist(answers[models[0]], bins=40, range=(0, 1))
    above.set(ylabel="share that came true", title="Calibration on the hold-out")
    above.legend()
    below.set(xlabel="probability said", ylabel=f"rows, {models[0]}")
    return figure
