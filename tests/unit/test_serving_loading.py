"""Loading a folder as MLflow writes it: a model that gave what was registered, or a LoadError."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper

from services.serving.errors import LoadError
from services.serving.models.loading import Loaded, load

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
X = {"name": "x", "type": "double", "required": True}
Y = {"name": "y", "type": "double"}
Shape = Sequence[int | str]


def graph(
    *nodes: onnx.NodeProto,
    given: tuple[int, Shape] = (FLOAT, ["n"]),
    gives: dict[str, tuple[int, Shape]] | None = None,
) -> onnx.ModelProto:
    """A graph with the input x; by default it gives y = x + x."""
    gives = gives or {"y": (FLOAT, ["n"])}
    whole = helper.make_graph(
        nodes or [helper.make_node("Add", ["x", "x"], ["y"])],
        "small",
        [helper.make_tensor_value_info("x", *given)],
        [helper.make_tensor_value_info(name, *value) for name, value in gives.items()],
    )
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def written(
    folder: Path,
    model: onnx.ModelProto | None,
    inputs: Any = (X,),
    outputs: Any = (Y,),
    example: Any = None,
    **changed: Any,
) -> Path:
    """Write what MLflow writes."""
    signature = {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs) if outputs else None}
    flavors = {"onnx": {"data": "model.onnx"}, "python_function": {"loader_module": "mlflow.onnx"}}
    described = {"flavors": flavors, "signature": signature, "run_id": "r", **changed}
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    if model:
        onnx.save(model, folder / "model.onnx")
    if example is not None:
        (folder / "serving_input_example.json").write_text(json.dumps(example))
    return folder


def test_a_model_that_gives_what_was_registered_is_loaded(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, graph(), example={"inputs": {"x": [1.5, 2]}}))
    assert loaded.model.run({"x": [1.5, -3]})["y"].tolist() == [3, -6]
    assert loaded.seconds > 0
    assert (loaded.model.form, loaded.model.foreign) == ("records", False)


def test_parameters_beside_the_example_are_left_to_the_model(tmp_path: Path) -> None:
    load(written(tmp_path, graph(), example={"inputs": {"x": [1]}, "params": {"top_k": 3}}))


def test_without_an_example_a_neutral_row_is_asked(tmp_path: Path) -> None:
    load(written(tmp_path, graph(), outputs=None))


def test_a_graph_for_one_row_answers_rows_one_by_one(tmp_path: Path) -> None:
    one = graph(given=(FLOAT, [1]), gives={"y": (FLOAT, [1])})
    loaded = load(written(tmp_path, one, example={"inputs": {"x": [1, 2, 3]}}))
    assert loaded.model.run({"x": [1, 2, 3]})["y"].tolist() == [2, 4, 6]


def tensor(dtype: str = "float32", shape: Sequence[int] = (-1,), **name: str) -> dict[str, Any]:
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [*shape]}, **name}


TWO: tuple[int, Shape] = (FLOAT, ["n", 2])


def pair() -> onnx.ModelProto:
    return graph(given=TWO, gives={"y": TWO})


@pytest.mark.parametrize("name", [{}, {"name": "x"}], ids=["unnamed", "named"])
def test_a_tensor_goes_by_the_name_that_the_graph_has(tmp_path: Path, name: dict[str, str]) -> None:
    spec = tensor(shape=(-1, 2))
    loaded = load(written(tmp_path, pair(), inputs=[spec | name], outputs=[spec]))
    answer = loaded.model.run({"x": np.array([[1, 2]], "float32")})
    assert answer["y"].tolist() == [[2, 4]]
    assert loaded.model.form == "columns"


def node(kind: str, *names: str, gives: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, names, [gives], **attributes)


WORD = node("Cast", "x", to=STRING)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another name": ({"outputs": [Y | {"name": "z"}]}, "outputs ['y'], the signature registered"),
    "one too few": ({"outputs": [Y, Y | {"name": "z"}]}, "want the same names in both"),
    "words for numbers": (
        {"model": graph(WORD, gives={"y": (STRING, ["n"])})},
        "output is object, the signature registered",
    ),
    "numbers for words": ({"outputs": [Y | {"type": "string"}]}, "output is float32"),
    "truths for numbers": (
        {"model": graph(node("Cast", "x", to=9), gives={"y": (9, ["n"])})},
        "output is bool",
    ),
    "another rank": ({"outputs": [tensor(shape=(-1, 1), name="y")]}, "output has shape (1,)"),
    "another size": (
        {
            "model": pair(),
            "inputs": [tensor(shape=(-1, 2), name="x")],
            "outputs": [tensor(shape=(-1, 3), name="y")],
        },
        "output has shape (1, 2)",
    ),
    "not finite": (
        {"model": graph(node("Log", "x")), "example": {"inputs": {"x": [0]}}},
        "output 'y' is not finite on the input example",
    ),
    "rows that are lost": (
        {"model": graph(node("ReduceSum", "x", keepdims=1), gives={"y": (FLOAT, [1])})},
        "output 'y' has shape (1,) for 64 rows",
    ),
    "rows that are not first": (
        {
            "model": graph(
                node("Transpose", "x", perm=[1, 0]), given=TWO, gives={"y": (FLOAT, [2, "n"])}
            ),
            "inputs": [tensor(shape=(-1, 2), name="x")],
            "outputs": None,
        },
        "output 'y' has shape (2, 1) for 1 rows",
    ),
    "rows that depend on each other": (
        {
            "model": graph(
                node("ReduceMean", "x", gives="mean", keepdims=0), node("Sub", "x", "mean")
            ),
            "example": {"inputs": {"x": [1, 5, 9]}},
        },
        "depends on the rows beside it",
    ),
    "a batch of three": (
        {"model": graph(given=(FLOAT, [3]), gives={"y": (FLOAT, [3])})},
        "the model fails on the input example",
    ),
    "an example of another model": (
        {"example": {"inputs": {"z": [1]}}},
        "example is refused: field 'z' is not asked for",
    ),
    "an example that is no JSON": ({"example": [1]}, "the stored input example is refused"),
    "a word for a number": ({"inputs": [X | {"type": "string"}]}, "field 'x' is a string"),
    "another input": ({"inputs": [X | {"name": "z"}]}, "signature has ['z'], the graph's inputs"),
    "a type that is not served": ({"inputs": [X | {"type": "datetime"}]}, "is not a named column"),
    "an empty inner size": ({"inputs": [tensor(shape=(-1, 0), name="x")]}, "is not a tensor of"),
    "a name of the log's own": (
        {
            "model": graph(node("Add", "x", "x", gives="role"), gives={"role": (FLOAT, ["n"])}),
            "outputs": None,
        },
        "['role'] name two of: inputs, outputs, the prediction log's own columns",
    ),
    "no signature": ({"signature": None}, "the model has no signature"),
    "no flavour of ours": ({"flavors": {"keras": {}}}, "flavors ['keras']: want onnx"),
    "no flavours": ({"flavors": None}, "MLmodel is not as MLflow writes it"),
    "a signature that is no JSON": ({"signature": {"inputs": "{"}}, "MLmodel is not as MLflow"),
    "no graph": ({"model": None}, "file 'model.onnx' is missing"),
}


@pytest.mark.parametrize(("changed", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_not_as_registered_is_not_loaded(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(LoadError) as refusal:
        load(written(tmp_path, **{"model": graph(), **changed}))
    assert message in str(refusal.value)


@pytest.mark.parametrize("text", ["", "- a list", "flavors: [", "\0"])
def test_a_damaged_mlmodel_is_not_loaded(tmp_path: Path, text: str) -> None:
    (written(tmp_path, graph()) / "MLmodel").write_text(text)
    with pytest.raises(LoadError, match="MLmodel is not as MLflow writes it"):
        load(tmp_path)


def test_a_damaged_graph_and_a_missing_mlmodel_are_not_loaded(tmp_path: Path) -> None:
    (written(tmp_path, None) / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(LoadError, match="the graph does not load"):
        load(tmp_path)
    (tmp_path / "MLmodel").unlink()
    with pytest.raises(LoadError, match="files cannot be read"):
        load(tmp_path)


class Planted:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


SKLEARN = {"loader_module": "mlflow.sklearn", "model_path": "model.skops", "predict_fn": "predict"}
SKOPS = {"serialization_format": "skops", "pickled_model": "model.skops"}
PLANTED: dict[str, tuple[dict[str, Any], str]] = {
    "pickle": (
        {"sklearn": SKOPS | {"serialization_format": "pickle"}},
        "serialization_format 'pickle' is code",
    ),
    "cloudpickle": (
        {"sklearn": SKOPS | {"serialization_format": "cloudpickle"}},
        "serialization_format 'cloudpickle' is code",
    ),
    "no format said": ({"sklearn": {}}, "serialization_format None"),
    "no sklearn flavour": ({}, "serialization_format None"),
    "types that the model trusts": (
        {"sklearn": SKOPS | {"skops_trusted_types": ["pathlib.Path"]}},
        "the model itself says which types to trust",
    ),
    "a loader of its own": (
        {"python_function": SKLEARN | {"loader_module": "planted"}, "sklearn": SKOPS},
        "loader_module 'planted' may run code",
    ),
    "MLflow's own loader of code": (
        {"python_function": {"loader_module": "mlflow.pyfunc.model"}},
        "loader_module 'mlflow.pyfunc.model' may run code",
    ),
    "code beside it": (
        {"python_function": SKLEARN | {"code": "code"}, "sklearn": SKOPS},
        "python_function has ['code']",
    ),
    "an MLmodel below it": (
        {"python_function": SKLEARN | {"data": "below"}, "sklearn": SKOPS},
        "python_function has ['data']",
    ),
    "a file elsewhere": (
        {"python_function": SKLEARN | {"model_path": "../model.skops"}, "sklearn": SKOPS},
        "leaves the model's folder",
    ),
    "a method of its own": (
        {"python_function": SKLEARN | {"predict_fn": "score"}, "sklearn": SKOPS},
        "predict_fn 'score' is none of",
    ),
}


def planted(folder: Path, flavors: dict[str, Any]) -> Path:
    """A model whose pickle leaves the file `ran`, wherever a loader may look for it."""
    import cloudpickle  # type: ignore[import-untyped]

    (folder / "below").mkdir()
    (folder / "code").mkdir()
    code = f"import pathlib\ndef _load_pyfunc(path): pathlib.Path({str(folder / 'ran')!r}).touch()"
    (folder / "code" / "planted.py").write_text(code)
    for place in (folder, folder / "below"):
        written(place, None, flavors={"python_function": SKLEARN, **flavors})
        (place / "model.skops").write_bytes(cloudpickle.dumps(Planted(folder / "ran")))
    return folder


@pytest.mark.parametrize(("flavors", "message"), PLANTED.values(), ids=PLANTED.keys())
def test_a_model_with_code_does_not_run_without_permission(
    tmp_path: Path, flavors: dict[str, Any], message: str
) -> None:
    with pytest.raises(LoadError) as refusal:
        load(planted(tmp_path, flavors))
    assert message in str(refusal.value)
    assert "RELAY_SERVING_UNSAFE_MODELS" in str(refusal.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "case", ["pickle", "cloudpickle", "no format said", "an MLmodel below it", "code beside it"]
)
def test_a_model_with_code_runs_where_the_operator_trusts_it(tmp_path: Path, case: str) -> None:
    """The plants are real: without the check each of them would run."""
    flavors = dict(PLANTED[case][0])
    if case == "code beside it":
        flavors["python_function"] = flavors["python_function"] | {"loader_module": "planted"}
    folder = planted(tmp_path, flavors)
    if case == "an MLmodel below it":
        written(folder / "below", None, flavors={"python_function": SKLEARN})
    with pytest.raises(LoadError):  # what comes out is no model
        load(folder, trusted=True)
    assert (tmp_path / "ran").exists()


def test_the_pickle_switch_of_mlflow_is_closed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    flavors = PLANTED["pickle"][0]
    with pytest.raises(LoadError):
        load(planted(tmp_path, flavors), trusted=True)
    import mlflow.sklearn

    (tmp_path / "ran").unlink()
    with pytest.raises(mlflow.MlflowException, match="Deserializing this model is disallowed"):
        mlflow.pyfunc.load_model(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def loaded_from_mlflow(folder: Path, **options: Any) -> Loaded:
    """Save a scikit-learn model on a table with MLflow, and load it."""
    import mlflow.sklearn
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.linear_model import LinearRegression

    rows = pd.DataFrame({"a": [0.0, 1, 2], "b": [1.0, 0, 5]})
    model = LinearRegression().fit(rows, rows["a"] * 2 + rows["b"])
    signature = infer_signature(rows, model.predict(rows))
    options = {"serialization_format": "skops", "signature": signature} | options
    requirements = ["scikit-learn==0.1"]
    mlflow.sklearn.save_model(model, folder / "m", pip_requirements=requirements, **options)
    return load(folder / "m")


def test_scikit_learn_in_the_skops_format_needs_no_permission(tmp_path: Path) -> None:
    loaded = loaded_from_mlflow(tmp_path)
    answer = loaded.model.run({"a": [1, 0.5], "b": [2, 0]})["predictions"]
    np.testing.assert_allclose(answer, [4, 1])
    (output,) = loaded.model.outputs
    assert output.describe() == {"name": "predictions", "datatype": "FP64", "shape": [-1]}
    assert (loaded.model.form, loaded.model.foreign) == ("values", True)


def test_types_that_skops_does_not_know_are_not_loaded(tmp_path: Path) -> None:
    loaded_from_mlflow(tmp_path)
    import skops.io

    skops.io.dump(Planted(tmp_path / "ran"), tmp_path / "m" / "model.skops")
    with pytest.raises(LoadError, match="UntrustedTypesFoundException"):
        load(tmp_path / "m")
    assert not (tmp_path / "ran").exists()
