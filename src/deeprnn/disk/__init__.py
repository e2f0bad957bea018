"""Files: written whole, told from other people's, checked against a digest when they are read, locked while in use."""
