"""A model in Python that never answers a row of the thirteenth hour."""

import threading

import mlflow
import numpy as np
import pandas as pd


class Hangs(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context: object, model_input: pd.DataFrame) -> np.ndarray:
        if (model_input["hour"] == 13).any():
            threading.Event().wait()
        answer: np.ndarray = model_input["hour"].to_numpy() + 0.5
        return answer


mlflow.models.set_model(Hangs())
