"""What each layer of a net knows: recordings, interventions, labels, measurements.

Exported here are recording, interventions, labels, the adapter for torch.nn, and `analyze`, which measures a run. Each
measurement lies in the module of its subject, which often has its name: `from deeprnn.analysis.ripple import ripple`,
and likewise `construction`, `context_need`, `lens`, `ablation.ablate`, `probes.probe`, `units.best_units`,
`verdict.judge`. So a name below `deeprnn.analysis` is never both a module and a function.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deeprnn.analysis import labels as labels
from deeprnn.analysis.adapters import as_deep as as_deep
from deeprnn.analysis.interventions import add as add
from deeprnn.analysis.interventions import erase as erase
from deeprnn.analysis.interventions import replace as replace
from deeprnn.analysis.interventions import zero as zero
from deeprnn.analysis.names import Name as Name
from deeprnn.analysis.names import names_of as names_of
from deeprnn.analysis.recording import Recording as Recording
from deeprnn.analysis.recording import record as record

if TYPE_CHECKING:
    from deeprnn.analysis.results import Results as Results
    from deeprnn.analysis.results import read_summary as read_summary
    from deeprnn.analysis.study import FULL as FULL
    from deeprnn.analysis.study import QUICK as QUICK
    from deeprnn.analysis.study import Effort as Effort
    from deeprnn.analysis.study import analyze as analyze

_HOME = {
    "FULL": "study",
    "QUICK": "study",
    "Effort": "study",
    "Results": "results",
    "analyze": "study",
    "read_summary": "results",
}
"""Names that are imported when they are first asked for: recording needs no training library."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'deeprnn.analysis' has no attribute {name!r}")
    value: Any = getattr(import_module(f"deeprnn.analysis.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
