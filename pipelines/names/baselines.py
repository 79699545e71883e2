"""Training names and names to ask in, what a GPT must beat out: knowing letters, and an n-gram.

The n-gram is smoothed as by Kneser and Ney, interpolated (Chen and Goodman 1999, "An empirical
study of smoothing techniques for language modeling", section 3): of every count a discount is
taken, and what that frees goes to the shorter context. There a letter counts once for each
different context that it follows, rather than each time.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from math import log

import numpy as np
import pandas as pd

from pipelines.baselines import Array, Baseline, Task
from pipelines.names.letters import Encoder
from pipelines.names.network import counted, letter_shares

DISCOUNT = 0.75


class Ngram:
    """Probabilities of the next token by the ``order`` - 1 before it."""

    def __init__(self, words: Iterable[tuple[int, ...]], order: int, size: int) -> None:
        """Count the tokens behind each context; ``size`` is the number of different tokens."""
        self.order, self.size = order, size
        self.after: list[Mapping[tuple[int, ...], Counter[int]]] = [{}] * order  # by its length
        counts: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for word in words:
            for context, token in self._steps(word):
                counts[context][token] += 1
        for length in reversed(range(order)):
            self.after[length] = counts
            shorter: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
            for context, followed in counts.items():
                shorter[context[1:]].update(followed.keys())
            counts = shorter

    def log_loss(self, word: tuple[int, ...]) -> float:
        """Return a name's negative log-likelihood in nats."""
        return -sum(log(self.probability(*step)) for step in self._steps(word))

    def _steps(self, word: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], int]]:
        """Give each token behind its context; nothing at all (-1) stands before a name."""
        before = self.order - 1
        padded = before * (-1,) + word
        for end in range(before, len(padded)):
            yield padded[end - before : end], padded[end]

    def probability(self, context: tuple[int, ...], token: int) -> float:
        """Return the probability of a token behind a context, from 0 to 1."""
        shorter = self.probability(context[1:], token) if context else 1 / self.size
        followed = self.after[len(context)].get(context)
        if followed is None:
            return shorter
        taken = max(followed[token] - DISCOUNT, 0.0)
        return (taken + DISCOUNT * len(followed) * shorter) / followed.total()


def base_rate(task: Task) -> Array:
    """Answer by the shares of the letters: a name is drawn from a bag."""
    encoder = _encoder(task)
    shares = letter_shares(encoder.encode(task.train)["tokens"], encoder.size).log().numpy()
    losses = np.array([-shares[list(word)].sum() for word in _words(encoder, task.asked)])
    return np.column_stack([losses, losses])


def ngram(order: int, task: Task) -> Array:
    """Answer by an n-gram of this order."""
    encoder = _encoder(task)
    model = Ngram(_words(encoder, task.train), order, encoder.size)
    losses = np.array([model.log_loss(word) for word in _words(encoder, task.asked)])
    return np.column_stack([losses, base_rate(task)[:, 1]])


BASELINES: dict[str, Baseline] = {
    "base_rate": base_rate,
    **{f"{order}_gram": partial(ngram, order) for order in range(2, 8)},
}


def _encoder(task: Task) -> Encoder:
    return Encoder.fit(task.train, task.features)


def _words(encoder: Encoder, rows: pd.DataFrame) -> Iterator[tuple[int, ...]]:
    """Give the tokens of each name: its letters and its end, as far as the network sees them."""
    tokens = encoder.encode(rows)["tokens"]
    for word, length in zip(tokens.tolist(), counted(tokens).sum(dim=1).tolist(), strict=True):
        yield tuple(word[:length])
