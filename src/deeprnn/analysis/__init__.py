"""What each layer of a net knows.

| package | subject |
| --- | --- |
| `recording` | what every layer computed at every step, by name |
| `interventions` | a net run with a layer changed |
| `labels` | what may be known about each character of a text |
| `probes` | what a linear classifier reads off a layer |
| `measurements` | ripple, construction, context need, next character, ablation, units: one module each |
| `report` | all of it for one run, as `deeprnn analyze` writes it |

The functions that most programs need are exported here. The others lie in the module of their subject, which often
has their name: `from deeprnn.analysis.measurements.ripple import ripple`. So a name below `deeprnn.analysis` is never
both a module and a function.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deeprnn.analysis import labels as labels
from deeprnn.analysis.adapters import as_deep as as_deep
from deeprnn.analysis.interventions.edits import add as add
from deeprnn.analysis.interventions.edits import erase as erase
from deeprnn.analysis.interventions.edits import replace as replace
from deeprnn.analysis.interventions.edits import zero as zero
from deeprnn.analysis.recording.names import Name as Name
from deeprnn.analysis.recording.names import names_of as names_of
from deeprnn.analysis.recording.recorder import record as record
from deeprnn.analysis.recording.recording import Recording as Recording

if TYPE_CHECKING:
    from deeprnn.analysis.report.results import Results as Results
    from deeprnn.analysis.report.results import read_summary as read_summary
    from deeprnn.analysis.study import FULL as FULL
    from deeprnn.analysis.study import QUICK as QUICK
    from deeprnn.analysis.study import Effort as Effort
    from deeprnn.analysis.study import analyze as analyze

_HOME = {
    "FULL": "study",
    "QUICK": "study",
    "Effort": "study",
    "Results": "report.results",
    "analyze": "study",
    "read_summary": "report.results",
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
