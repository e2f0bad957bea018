"""Docstrings end in examples without a heading; the reference page shows those as code."""

from typing import Any

from griffe import Extension, Object


class Doctests(Extension):
    """Puts the heading that griffe knows before a docstring's examples."""

    def on_instance(self, *, node: Any, obj: Object, agent: Any, **kwargs: Any) -> None:  # noqa: ARG002  # its name
        """Called for each object that was read."""
        if obj.docstring is None or ">>> " not in obj.docstring.value:
            return
        text, _, example = obj.docstring.value.partition("\n>>> ")
        if example and "\nExamples:" not in text:
            lines = f">>> {example}".splitlines()
            obj.docstring.value = text + "\nExamples:\n" + "\n".join(f"    {line}".rstrip() for line in lines)
