"""The prediction log: answered requests and late labels in, Parquet and frames out.

Serving writes, monitoring reads. Under the root every model has `predictions/` and `labels/`, each
a row of segments (`<time>-<random>.log`) that one writer alone appends to. All frames of an append
go to the kernel in one `write` before the answer leaves, so a record survives `kill -9` of its
writer. Importing and writing need neither pandas nor pyarrow.
"""

from monitoring.prediction_log.frames import DamagedLogError
from monitoring.prediction_log.records import LOG_COLUMNS, Label, Prediction, PredictionRecord, Role
from monitoring.prediction_log.writer import PredictionLog

__all__ = [
    "LOG_COLUMNS",
    "DamagedLogError",
    "Label",
    "Prediction",
    "PredictionLog",
    "PredictionRecord",
    "Role",
]
