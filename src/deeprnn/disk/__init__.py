"""Files: written whole, checked against a digest when read, locked while in use, never confused with others' files."""
