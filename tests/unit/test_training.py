from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipelines import training
from pipelines.acceleration import prepare
from pipelines.event_files import event_files
from pipelines.exits import Refused
from pipelines.learning import learning_rates
from pipelines.losses import binary
from pipelines.profiling import tracing
from tests.small_training import SCHEDULE, VALIDATION, fit, weights


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before() -> None:
    once = fit()
    torch.rand(17), np.random.rand(3)
    torch.set_num_threads(2)
    again = fit()
    assert weights(once) == weights(again)
    assert once.history == again.history


def test_the_learning_rate_rises_to_its_full_and_falls_to_nothing() -> None:
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=0.1)
    rates, seen = learning_rates(optimizer, steps=20, warmup=4), []
    for _ in range(20):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        rates.step()
    assert seen[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert seen[4:] == sorted(seen[4:], reverse=True)
    assert seen[12] == pytest.approx(0.05)  # the middle of what is left
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0)


def test_a_training_warms_up_by_its_share_of_the_steps() -> None:
    warm = fit(replace(SCHEDULE, warmup_share=0.5))
    assert warm.history[1]["learning_rate"] < warm.history[2]["learning_rate"]
    assert warm.history[3]["learning_rate"] == pytest.approx(SCHEDULE.learning_rate)


def test_being_profiled_and_written_down_changes_no_bit(tmp_path: Path) -> None:
    with event_files(tmp_path) as events, tracing(tmp_path / "trace.json.gz") as on_step:
        watched = fit(on_epoch=lambda epoch, metrics: events.add(metrics, epoch), on_step=on_step)
    alone = fit()
    assert weights(watched) == weights(alone)
    assert watched.history == alone.history


def test_another_seed_gives_another_network() -> None:
    assert weights(fit()) != weights(fit(replace(SCHEDULE, seed=1)))


def test_it_learns_something() -> None:
    history = fit().history
    knowing_nothing = VALIDATION.labels.mean()
    entropy = nn.functional.binary_cross_entropy(
        knowing_nothing.expand_as(VALIDATION.labels), VALIDATION.labels
    ).item()
    assert min(epoch["validation_log_loss"] for epoch in history) < 0.85 * entropy


def test_the_best_epochs_weights_are_kept_and_every_epoch_is_told_as_it_ends() -> None:
    told: list[tuple[int, Mapping[str, float]]] = []
    fitted = fit(
        replace(SCHEDULE, epochs=40, learning_rate=0.3),
        on_epoch=lambda epoch, metrics: told.append((epoch, metrics)),
    )
    assert told == list(enumerate(fitted.history, start=1))
    losses = [epoch["validation_log_loss"] for epoch in fitted.history]
    assert losses[fitted.best_epoch - 1] == min(losses)
    kept = training.log_loss(fitted.network, VALIDATION, binary).item()
    assert kept == pytest.approx(min(losses), abs=1e-6)
    assert len(losses) == fitted.best_epoch + SCHEDULE.patience < 40


def test_a_callback_that_fails_stops_the_training() -> None:
    def full_disk(epoch: int, metrics: Mapping[str, float]) -> None:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        fit(on_epoch=full_disk)


def test_a_loss_that_is_not_a_number_is_an_error_not_a_model() -> None:
    with pytest.raises(FloatingPointError, match=r"epoch 1: lower train\.learning_rate"):
        fit(replace(SCHEDULE, learning_rate=float("inf")))


@pytest.mark.parametrize("action", [lambda: None, lambda: 1 / 0])
def test_the_settings_of_torch_are_put_back(action: Callable[[], object]) -> None:
    torch.set_num_threads(2)
    try:
        with training.deterministic(seed=0):
            assert torch.get_num_threads() == 1
            assert torch.are_deterministic_algorithms_enabled()
            action()
    except ZeroDivisionError:
        pass
    assert torch.get_num_threads() == 2
    assert not torch.are_deterministic_algorithms_enabled()


MEANS = [{"precision": "bfloat16"}, {"compile": True}]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs to be without a GPU")
@pytest.mark.parametrize("means", MEANS)
def test_what_is_for_a_gpu_changes_no_bit_without_one(
    means: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert weights(fit(replace(SCHEDULE, epochs=1, **means))) == weights(
        fit(replace(SCHEDULE, epochs=1))
    )
    assert "there is no GPU" in caplog.text


def test_without_a_c_compiler_nothing_is_compiled_for_a_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(Refused, match=r"train\.scale\.compile calls a C compiler"):
        prepare(torch.nn.Linear(1, 1), replace(SCHEDULE, compile=True), torch.device("cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("means", MEANS)
def test_a_gpu_learns_as_much_by_other_means(means: dict[str, Any]) -> None:
    scores = [
        min(epoch["validation_log_loss"] for epoch in fit(schedule).history)
        for schedule in (SCHEDULE, replace(SCHEDULE, **means))
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_a_network_that_comes_back_to_the_cpu() -> None:
    fitted = fit()
    assert {p.device.type for p in fitted.network.parameters()} == {"cpu"}
    assert fitted.history == fit().history
