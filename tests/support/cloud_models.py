"""What boto3 knows of a cloud's services, read once a process instead of once a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import botocore.session
import pytest
from botocore.loaders import Loader


@contextmanager
def one_reading() -> Iterator[None]:
	"""Each session reads descriptions of several megabytes anew; here all sessions share one reading of them."""
	loader = Loader()
	with pytest.MonkeyPatch.context() as patch:
		# By the name under which a session looks it up, whatever search path it is asked for.
		patch.setattr(botocore.session, "create_loader", lambda *_: loader)
		yield
