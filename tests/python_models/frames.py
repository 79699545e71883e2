"""A model in Python: a table in, a table out."""

import mlflow
import pandas as pd


class Frames(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context: object, model_input: pd.DataFrame) -> pd.DataFrame:
        score = model_input["hour"] * 0.5 + model_input["temp"].fillna(0)
        return pd.DataFrame({"score": score, "word": model_input["carrier"].str.lower()})


mlflow.models.set_model(Frames())
