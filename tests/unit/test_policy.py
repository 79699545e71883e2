from pathlib import Path

import pytest
import yaml

from pipelines import models, policy
from services.serving import metrics


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text((models.FOLDER / models.names()[0] / "params.yaml").read_text())
    return path


def change(path: Path, *keys: str, to: object) -> None:
    content = yaml.safe_load(path.read_text())
    section = content
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = to
    path.write_text(yaml.safe_dump(content))


def test_a_misspelt_key_is_named(written: Path) -> None:
    change(written, "promote", "max_callibration_error", to=0.1)
    with pytest.raises(policy.PolicyError, match=r"promote\.max_callibration_error: Extra inputs"):
        policy.read(written)


def test_a_misspelt_key_of_the_monitor_is_named(written: Path) -> None:
    change(written, "monitor", "drift", "defualt", to=0.1)
    with pytest.raises(policy.PolicyError, match=r"monitor\.drift\.defualt"):
        policy.read(written)


def test_a_wrong_type_is_named_with_what_was_found(written: Path) -> None:
    change(written, "train", "epochs", to="ten")
    with pytest.raises(policy.PolicyError, match=r"train\.epochs.*integer.*found 'ten'"):
        policy.read(written)


def test_a_check_that_does_not_exist_cannot_ask_for_a_retrain(written: Path) -> None:
    change(written, "retrain", "checks", to=["live_scores"])
    with pytest.raises(policy.PolicyError, match=r"retrain\.checks.*'live_scores'"):
        policy.read(written)


def test_a_missing_section_is_named(written: Path) -> None:
    content = yaml.safe_load(written.read_text())
    del content["retrain"]
    written.write_text(yaml.safe_dump(content))
    with pytest.raises(policy.PolicyError, match="retrain: Field required"):
        policy.read(written)


@pytest.mark.parametrize("text", ["- a list", "", "key: [unclosed"])
def test_what_is_no_policy_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(policy.PolicyError, match=r"params\.yaml"):
        policy.read(path)


def test_an_objective_that_serving_cannot_measure_is_refused(written: Path) -> None:
    assert metrics._SECONDS[-1] == policy.SLOWEST, "what is slower counts as this"
    change(written, "serve", "latency_seconds", to=9.9)
    assert policy.read(written)
    change(written, "serve", "latency_seconds", to=10.0)
    with pytest.raises(
        policy.PolicyError, match=r"serve\.latency_seconds: .*less than 10: serving"
    ):
        policy.read(written)


def test_an_unknown_model_is_answered_with_the_known_ones() -> None:
    with pytest.raises(policy.PolicyError, match=f"there are: .*{models.names()[0]}"):
        models.load("ships")


def test_a_policy_cannot_be_changed(written: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        policy.read(written).train.epochs = 99  # type: ignore[misc]
