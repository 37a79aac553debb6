"""``python -m reticle`` is ``reticle``."""

from .cli import main

if __name__ == "__main__":
    main()
