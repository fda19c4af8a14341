"""The machinery of pages: sections, charts, pictures inside, terms; it knows no attack and no explanation."""
