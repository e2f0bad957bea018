"""Linear probes: what can be read off a layer, fitted on some files and measured on others."""
