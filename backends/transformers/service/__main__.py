"""``python -m backends.transformers.service --address unix:/path``, which ``manage.py runengine`` does as well."""

from __future__ import annotations

import sys

from backends.transformers.service.server import main

sys.exit(main())
