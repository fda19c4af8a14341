"""Where models come from: each file turns one form of specification into a blueprint."""
