"""Names in, tokens for a network out, one integer a letter; and an ONNX graph that does so.

``BOUNDARY`` stands behind a name and in what is empty after it; a letter that training has not seen
is ``UNKNOWN``; the i-th letter of the alphabet is ``FIRST`` + i.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import pandas as pd
import torch
from onnx import ModelProto, parser
from torch import Tensor

from pipelines.features import ML_OPSET, OPSET
from pipelines.policy import Column

BOUNDARY, UNKNOWN, FIRST = 0, 1, 2
CONTEXT = 16  # tokens that the network sees: names of up to 15 letters, and their end
LONGEST = 64  # letters that are read of one name, so that it cannot fill the memory
STRANGE = "\N{REPLACEMENT CHARACTER}"  # stands for a letter that nobody has in a name


@dataclass(frozen=True)
class Encoder:
    """Names to ``tokens`` (B, T) int64, T = ``CONTEXT``, and how many ``letters`` (B,)
    they have.

    What is longer than the context is cut, its length is told. A missing name is one without
    letters, and one of more than ``LONGEST`` is read as so many unknown ones.
    """

    feature: str
    alphabet: str

    @classmethod
    def fit(cls, rows: pd.DataFrame, features: Mapping[str, Column]) -> Self:
        """Collect the letters of the one feature, sorted; small and capital ones are the same."""
        (feature,) = features
        letters = set("".join(rows[feature].dropna().unique()).upper())
        return cls(feature, "".join(sorted(letters)))

    @property
    def size(self) -> int:
        """V, the number of different tokens, the boundary and the unknown letter included."""
        return FIRST + len(self.alphabet)

    @property
    def codes(self) -> dict[str, int]:
        """The token of each letter, small and capital."""
        capital = {letter: FIRST + i for i, letter in enumerate(self.alphabet)}
        small = {letter.lower(): token for letter, token in capital.items()}
        return {letter: code for letter, code in (small | capital).items() if len(letter) == 1}

    def encode(self, rows: pd.DataFrame) -> dict[str, Tensor]:
        """See ``pipelines.features.Encoder``."""
        if self.feature not in rows:
            raise KeyError(f"the rows lack the features {self.feature}")
        codes, tokens, lengths = self.codes, [], []
        for name in rows[self.feature].fillna(""):
            read = name if len(name) <= LONGEST else LONGEST * STRANGE
            coded = [codes.get(letter, UNKNOWN) for letter in read[:CONTEXT]]
            tokens.append(coded + [BOUNDARY] * (CONTEXT - len(coded)))
            lengths.append(len(read))
        return {
            "tokens": torch.tensor(tokens, dtype=torch.int64).reshape(-1, CONTEXT),
            "letters": torch.tensor(lengths, dtype=torch.int64),
        }

    def front(self, ir_version: int) -> ModelProto:
        """See ``pipelines.features.Encoder``.

        ONNX compares whole strings, and cannot take one apart; ONNX Runtime's Tokenizer can
        (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md). The graph is
        written in ONNX's own syntax (https://onnx.ai/onnx/repo-docs/Syntax.html).
        """
        codes = {**self.codes, "<none>": BOUNDARY}
        keys = json.dumps([*codes], ensure_ascii=False)
        opsets = f'["": {OPSET}, "ai.onnx.ml": {ML_OPSET}, "com.microsoft": 1]'
        text = f"""
        <ir_version: {ir_version}, opset_import: {opsets}>
        front (string[batch] {self.feature})
            => (int64[batch, {CONTEXT}] tokens, int64[batch] letters)
        <string[batch, most] front_letters,
         string[1] front_strange = {{"{LONGEST * STRANGE}"}}, int64[1] front_axis = {{1}},
         int64[1] front_begin = {{0}}, int64[1] front_end = {{{CONTEXT}}},
         int64[4] front_room = {{0, 0, 0, {CONTEXT}}}, int64[1] front_boundary = {{{BOUNDARY}}}>
        {{
            front_fits = RegexFullMatch <pattern = "(?s).{{0,{LONGEST}}}"> ({self.feature})
            front_read = Where(front_fits, {self.feature}, front_strange)
            front_letters = com.microsoft.Tokenizer
                <separators = [""], mark = 0, mincharnum = 1, pad_value = "<none>"> (front_read)
            front_codes = ai.onnx.ml.LabelEncoder
                <keys_strings = {keys}, values_int64s = {[*codes.values()]},
                 default_int64 = {UNKNOWN}> (front_letters)
            front_none = Equal(front_codes, front_boundary)
            front_some = Not(front_none)
            front_ones = Cast <to = 7> (front_some)
            letters = ReduceSum <keepdims = 0> (front_ones, front_axis)
            front_padded = Pad(front_codes, front_room)
            tokens = Slice(front_padded, front_begin, front_end, front_axis)
        }}
        """
        return parser.parse_model(text)
