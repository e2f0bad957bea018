"""A resumed run of `deeprnn train`: it keeps its settings, and an interrupted command says how to resume."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeprnn.cli import options

if TYPE_CHECKING:
    from deeprnn.tasks.text import TextRun, Trained


def resume_run(run: "TextRun", values: Mapping[str, Any], given: Sequence[str]) -> "Trained":
    """Continues the run in a directory.

    Args:
        values: of all options, by name.
        given: the names of those that were given.

    Raises:
        ValueError: one of them is not what the run was started with.
    """
    from deeprnn.cli.progress import TrainingDisplay
    from deeprnn.cli.terminal import stdout, visible
    from deeprnn.kernels import keep_memory
    from deeprnn.tasks import text

    _check_unchanged(run, values, given)
    keep_memory()
    console = stdout()
    console.print(f"resuming {visible(str(run.path))}", soft_wrap=True)
    with TrainingDisplay(console) as display:
        return text.resume(run.path, progress=display)


def _check_unchanged(run: "TextRun", values: Mapping[str, Any], given: Sequence[str]) -> None:
    from dataclasses import asdict

    from deeprnn.notation import parse_layers

    plan = run.read_plan()
    net = run.load_net(plan=plan)
    config = net.config()
    stored: dict[str, Any] = asdict(plan.settings)
    stored |= {name: config[name] for name in options.NET_OPTIONS}
    stored |= {"minutes": plan.metadata.get("minutes"), "vocabulary": run.load_vocabulary(plan=plan).kind}
    wanted = dict(values)
    if "layers" in given:
        wanted["layers"], stored["layers"] = tuple(parse_layers(values["layers"])), net.cells
    if "text" in given:
        wanted["text"] = [str(path.resolve()) for path in values["text"]]
        stored["text"] = (plan.source or {}).get("paths")
    stored["corpus"] = (plan.source or {}).get("kind")
    timed = plan.schedule is None or plan.seconds is not None  # then the steps were planned, not given
    stored["steps"] = None if timed or plan.schedule is None else plan.schedule.planned
    for name in given:
        if name in stored and wanted[name] != stored[name]:
            before = "" if name in ("text", "layers", "corpus") or stored[name] is None else f" ({stored[name]})"
            raise ValueError(
                f"--{name.replace('_', '-')} differs from what {run.path} was started with{before}, and a resumed run "
                f"keeps its settings.\n  Leave the option out, or start another run in another directory."
            )


class RunInDirectory:
    """The run that an interrupted command can be told to resume: one that this command started, not an older one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._before = self._plan()
        self._adopted = False

    def adopt(self) -> None:
        """Counts the run that is there already as this command's."""
        self._adopted = True

    def resume_command(self) -> str | None:
        """The command that continues the run; None where there is none."""
        plan = self._plan()
        started = plan is not None and (self._adopted or plan != self._before)
        return resume_command(self._directory) if started else None

    def _plan(self) -> tuple[int, int] | None:
        try:
            status = (self._directory / "training.json").stat()
        except (OSError, ValueError):
            return None
        return status.st_ino, status.st_mtime_ns


def resume_command(path: Path) -> str:
    """The command that continues the run in a directory."""
    from deeprnn.cli.terminal import shell_word

    return f"deeprnn train --out {shell_word(str(path))} --resume"
