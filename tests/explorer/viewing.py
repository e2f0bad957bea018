"""How the tests go about in the page."""

from typing import Any


def show(page: Any, view: str) -> None:
    page.click(f"#tab-{view}")
    page.wait_for_selector(f"#view-{view}:not([hidden]) figure")


def read_all(page: Any) -> None:
    """Waits until the page's net has read all of its texts."""
    page.evaluate(
        """async () => {
          for (;;) {
            const read = await Remote.ask('everywhere', { layer: 0, unit: 0 });
            if (read.every(Boolean)) return;
            await new Promise((resolve) => setTimeout(resolve, 30));
          }
        }"""
    )
