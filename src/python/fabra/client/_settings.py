"""Where the server is, who asks, and how long an answer is waited for."""

import os
from typing import Any, Dict, Mapping, Optional, Union
from urllib.parse import urlsplit
from uuid import UUID

from ._errors import InvalidInput

DEFAULT_URL = "http://127.0.0.1:8000"
#: Seconds for calls that send or make a lot.
WRITE_TIMEOUT = 120.0
TRAINING_TIMEOUT = 3600.0

#: One entity key: the key itself, or its columns by name.
Key = Union[str, int, UUID, Mapping[str, Any]]


class Settings:
    def __init__(self, url: Optional[str], api_key: Optional[str], timeout: float, retries: int) -> None:
        self.url = (url or os.environ.get("FABRA_URL") or DEFAULT_URL).rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise InvalidInput(f"{self.url!r} is no address of a server.", f"Write it whole: {DEFAULT_URL}.")
        if not timeout > 0:
            raise InvalidInput(f"A timeout of {timeout!r} seconds leaves no time.", "Give seconds, such as timeout=10.")
        self.timeout = timeout
        self.retries = max(0, retries)
        key = api_key or os.environ.get("FABRA_API_KEY") or None
        self.headers: Dict[str, str] = {"user-agent": "fabra-python"}
        if key is not None:
            self.headers["authorization"] = f"Bearer {key}"
