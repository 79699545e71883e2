"""A model in Python: a table in, arrays by name out."""

import mlflow
import numpy as np
import pandas as pd


class Arrays(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context: object, model_input: pd.DataFrame) -> dict[str, np.ndarray]:
        hour = model_input["hour"].to_numpy()
        return {"hour": hour, "pair": np.stack([hour, hour + 0.5], axis=1)}


mlflow.models.set_model(Arrays())
