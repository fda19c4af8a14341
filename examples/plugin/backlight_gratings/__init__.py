"""A worked plug-in of Backlight."""
