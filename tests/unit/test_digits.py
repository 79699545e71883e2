"""The model "digits": its made-up calendar, what its network watches, and what may happen to it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from pipelines.digits import drifts, feed, network, rows
from pipelines.digits.network import Hyperparameters, Network


def images(*names: str) -> pd.DataFrame:
    return pd.concat([feed.read_batch(name) for name in names], ignore_index=True)


def pixels(batch: pd.DataFrame) -> torch.Tensor:
    return torch.from_numpy(np.stack(list(batch["pixels"]))).reshape(-1, 8, 8)


def test_every_image_is_written_on_one_day_alone() -> None:
    """So no cut between days has an image on both sides; what is written on a day are its own."""
    calendar = feed.calendar()
    assert sorted(np.concatenate(list(calendar.values()))) == list(range(1797))
    source, digits = load_digits(return_X_y=True)
    february = feed.read_batch("2024-02")
    days = february["written_at"].dt.floor("D")
    for day in days.unique():
        batch, mine = february[days == day], calendar[day]
        written = np.stack(list(batch["pixels"]))
        apart = np.abs(written[:, None] - source[mine]).mean(axis=2)  # (copies, of the day's)
        assert np.median(apart.min(axis=1)) < 1.5, "other images are 3 to 5 away"
        assert sorted(batch["digit"]) == sorted(np.repeat(digits[mine], feed.COPIES))


def test_the_calendar_is_whole_and_the_same_at_every_call() -> None:
    batch = feed.read_batch("2024-02")
    feed.read_batch.cache_clear()
    again = feed.read_batch("2024-02")
    pd.testing.assert_frame_equal(batch, again)
    assert batch["image_id"].is_unique
    assert batch["written_at"].is_monotonic_increasing
    assert batch["written_at"].dt.date.nunique() == 29
    assert sum(len(feed.read_batch(name)) for name in feed.batch_names()) == 1797 * feed.COPIES
    with pytest.raises(ValueError, match="'2024-07' is not in the feed; it has 2024-01"):
        feed.read_batch("2024-07")


def test_a_label_is_known_later_than_its_image() -> None:
    batch = feed.read_batch("2024-01")
    assert set(rows.label(batch)) == set(range(10))
    assert (rows.label_time(batch) > batch["written_at"]).all()


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_attention_is_that_of_pytorch(patch: int) -> None:
    torch.manual_seed(0)
    net: Any = Network(Hyperparameters(patch=patch, width=32)).eval()
    ours = net.blocks[0].attention
    theirs: Any = torch.nn.MultiheadAttention(32, 4, batch_first=True).eval()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.query_key_value.weight)
        theirs.in_proj_bias.copy_(ours.query_key_value.bias)
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
        x = torch.randn(3, (8 // patch) ** 2 + 1, 32)
        torch.testing.assert_close(ours(x), theirs(x, x, x)[0])
        assert net(torch.rand(2, 8, 8) * 16).shape == (2, 10)


def test_patches_are_cut_as_the_paper_cuts_them() -> None:
    net = Network(Hyperparameters(patch=2, width=4))
    seen: list[torch.Tensor] = []
    net.embed.register_forward_hook(lambda module, given, made: seen.append(given[0]))
    image = torch.arange(64.0).reshape(1, 8, 8)
    net.encode(image)
    assert (seen[0][0, 0] * 16).tolist() == [0, 1, 8, 9]
    assert (seen[0][0, 1] * 16).tolist() == [2, 3, 10, 11]
    assert (seen[0][0, 4] * 16).tolist() == [16, 17, 24, 25]


def test_what_is_watched_is_what_it_is_called() -> None:
    batch = images("2024-01").head(40)
    with torch.no_grad():
        said = Network(Hyperparameters()).eval().answer(pixels(batch))
    ink = np.stack(list(batch["pixels"])) / 16
    np.testing.assert_allclose(said["intensity"], ink.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(said["contrast"], ink.std(axis=1), rtol=1e-5)
    np.testing.assert_allclose(said["ink_share"], (ink > 0.25).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(said["probabilities"].sum(dim=1), 1, rtol=1e-5)
    assert (said["digit"] == said["probabilities"].argmax(dim=1)).all()


def test_distance_is_measured_from_what_training_saw() -> None:
    torch.manual_seed(0)
    net: Any = Network(Hyperparameters(dropout=0.0))
    usual, net.usual.momentum = pixels(images("2024-01").head(300)), 0.5
    with torch.no_grad():
        for _ in range(15):
            net(usual)
        before = net.usual.running_mean.clone()
        said = net.eval().answer(usual)["distance"]
        strange = net.answer(16 - usual)["distance"]
    assert (net.usual.running_mean == before).all(), "asking teaches nothing"
    assert said.mean() == pytest.approx(1, abs=0.15)
    assert strange.mean() > 1.5


def test_an_image_is_moved_by_no_more_than_a_pixel() -> None:
    torch.manual_seed(0)
    image = torch.zeros(400, 8, 8)
    image[:, 3, 4] = 16
    moved = network._moved(image)
    places = {tuple(place[1:].tolist()) for place in moved.nonzero()}
    assert places == {(row, column) for row in (2, 3, 4) for column in (3, 4, 5)}
    assert (moved.sum((1, 2)) == 16).all()


@pytest.mark.parametrize("name", drifts.DRIFTS)
def test_a_drift_leaves_images_that_a_scanner_could_give(name: str) -> None:
    batch = images("2024-03")
    changed = drifts.DRIFTS[name](batch)
    values = np.stack(list(changed["pixels"]))
    assert values.min() >= 0
    assert values.max() <= feed.INK
    assert (values == values.round()).all()
    assert set(changed["image_id"]) <= set(batch["image_id"])
    again = drifts.DRIFTS[name](batch)
    assert all(map(np.array_equal, changed["pixels"], again["pixels"]))
    if name == "rarity":
        was, now = ((frame["digit"] == drifts.RARE).mean() for frame in (batch, changed))
        assert now < was / 5
    else:
        assert not any(map(np.array_equal, changed["pixels"], batch["pixels"]))
