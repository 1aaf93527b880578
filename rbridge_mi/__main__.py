"""``python -m rbridge_mi``: the same as the command ``rbridge-mi``."""

from .cli import main

raise SystemExit(main())
