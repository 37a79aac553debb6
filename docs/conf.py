"""How are these pages built? Sphinx, from Markdown and docstrings; ``make docs`` makes any warning an error."""

import importlib.metadata

project = "Reticle"
author = "The Reticle authors"
release = importlib.metadata.version("reticle")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Reticle {release}"
html_static_path: list[str] = []

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # shapes are in the signatures' annotations and, in words, under Args
autodoc_inherit_docstrings = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Convention", "Gradients", "Reference"]
