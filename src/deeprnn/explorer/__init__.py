"""The page on which a person sees what each layer of a net knows: one HTML file, offline."""

from pathlib import Path

from deeprnn.analysis.progress import Progress, ignore_progress
from deeprnn.disk import atomic, marks
from deeprnn.explorer.content import gather_content
from deeprnn.explorer.page import render
from deeprnn.tasks.text import TextRun


def explore(run: str | Path, out: str | Path | None = None, *, progress: Progress | None = None) -> Path:
    """Writes the page of an analyzed run.

    Args:
        run: the run's directory; `deeprnn.analysis.study.analyze` has been there.
        out: the file to write; `explorer.html` in the run by default.
        progress: called with what is being done, how much of it is done, and how much there is.

    Returns:
        The file.

    Raises:
        FileNotFoundError: the run has not been analyzed; the message says how.
        FileExistsError: a file that is not such a page stands at `out`.
        RunError, TextError, ValueError, OSError: a file of the run is missing or damaged, its texts have changed, or
            the page can't be written; what stood there before remains.
    """
    path = Path(run)
    out = TextRun(path).page_file if out is None else Path(out)
    if not out.parent.is_dir() or out.is_dir():
        raise FileNotFoundError(f"the page can't be written to {out}: give a file's name in a directory that exists.")
    marks.check_replaceable(out, marks.PAGE)  # before minutes are spent
    content = gather_content(path, progress or ignore_progress)
    atomic.write_text(out, render(content.json, content.numbers), marks.PAGE)
    return out
