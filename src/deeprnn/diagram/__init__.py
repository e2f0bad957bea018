"""The network drawn: unrolled in time and in layers, as SVG."""

from deeprnn.diagram.drawing import Drawing as Drawing
from deeprnn.diagram.drawing import draw as draw
