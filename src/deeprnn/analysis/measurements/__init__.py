"""One module a measurement: each takes a net or its states and returns figures."""
