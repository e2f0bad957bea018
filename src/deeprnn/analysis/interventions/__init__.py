"""A net run with one of its layers changed: zeroed, replaced, added to, a direction erased."""
