"""The page on which a person sees what each layer of a net knows: one HTML file, offline."""
