"""A model in Python that is not well-behaved: it prints, and exits where it is told to."""

import sys

import mlflow
import pandas as pd


class Words(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context: object, model_input: pd.DataFrame) -> pd.Series:
        print("a model that prints")  # noqa: T201  this is what is tested
        if "exit" in set(model_input["carrier"]):
            sys.exit("a model that exits")
        if "fewer" in set(model_input["carrier"]):
            return model_input["carrier"][:0]
        return model_input["carrier"] + "!"


mlflow.models.set_model(Words())
