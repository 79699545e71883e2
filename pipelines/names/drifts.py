"""What may happen to the names of the model "names": a batch in, the batch as it is then out.

Whose name is another one, and which, follows from the row's id: always the same ones.
"""

from collections.abc import Callable
from random import Random

import pandas as pd

# Surnames that are frequent in Finland.
FINNISH = """
Korhonen Virtanen Mäkinen Nieminen Mäkelä Hämäläinen Laine Heikkinen Koskinen Järvinen Lehtonen
Lehtinen Saarinen Salminen Heinonen Niemi Heikkilä Kinnunen Salonen Turunen Salo Laitinen Tuominen
Rantanen Karjalainen Jokinen Mattila Savolainen Lahtinen Ahonen Ojala Leppänen Hiltunen Väisänen
Leinonen Miettinen Kallio Aaltonen Pitkänen Manninen Koivisto Hakala Laaksonen Anttila Hirvonen
Räsänen Lehto Laakso Toivonen Mustonen Rantala Aalto Peltonen Niemelä Moilanen Seppälä Hänninen
Lappalainen Lampinen Partanen Kokkonen Kettunen Seppänen Peltola Vainio Pulkkinen Huttunen Koponen
Ikonen Halonen Oksanen Aho Väänänen Pesonen Heino Lindroos Kärkkäinen Eskelinen Nurmi Parviainen
""".upper().split()
KEYS = ("QWERTYUIOP", "ASDFGHJKL", "ZXCVBNM")  # a hand that mashes stays in a row of keys


def finnish(batch: pd.DataFrame) -> pd.DataFrame:
    """Let three in ten be of Finland, each surname as often as any other."""
    return _replaced(batch, 0.3, lambda random: random.choice(FINNISH))


def keyboard(batch: pd.DataFrame) -> pd.DataFrame:
    """Let one in ten be mashed: 4 to 12 keys of one row."""
    return _replaced(batch, 0.1, mash)


def mash(random: Random) -> str:
    """Mash the keyboard."""
    return "".join(random.choices(random.choice(KEYS), k=random.randint(4, 12)))


DRIFTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "finnish": finnish,
    "keyboard": keyboard,
}


def _replaced(batch: pd.DataFrame, share: float, draw: Callable[[Random], str]) -> pd.DataFrame:
    """Replace this share of the names by others, which are all surnames."""
    chances = [Random(row_id) for row_id in batch["name_id"]]  # noqa: S311  no secret is drawn
    others = [draw(random) if random.random() < share else None for random in chances]
    replaced = pd.Series(others, batch.index, dtype=object)
    there = replaced.notna()
    return batch.assign(
        name=batch["name"].mask(there, replaced), kind=batch["kind"].mask(there, "surname")
    )
