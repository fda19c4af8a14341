"""Run folders: written by training, read by models and reports: `folder`, `log`, `history`."""
