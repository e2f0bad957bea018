"""What `deeprnn analyze` reports of a run: its texts, the figures in one table, the verdict, the files."""
