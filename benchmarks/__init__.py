"""The grid: deeprnn beside torch, JAX and ONNX Runtime, every answer compared before it is timed."""
