"""The MD5 sums that publishers state for their files."""

import http.client
import json
import re
from typing import Final

from geocomiss.downloading.transfer import open_url

ZENODO: Final = re.compile(r"https://zenodo\.org/records?/(\d+)/files/?$")
"""Files of a record at Zenodo."""
RECORD: Final = "https://zenodo.org/api/records/{}"
"""What Zenodo knows of a record, as JSON with `files: [{key, checksum: "md5:..."}]`."""
SUMS: Final = "md5sums.txt"
"""What `md5sum` writes, for mirrors."""
MD5: Final = re.compile(r"[0-9a-f]{32}")
LARGEST: Final = 1 << 20
"""Most bytes that are read of a list of sums."""


def published_md5(base: str) -> dict[str, str]:
    """MD5 by file name, as far as it is published; empty where no list can be had.

    Args:
        base: URL of the folder of the files.
    """
    record = ZENODO.match(base)
    url = RECORD.format(record[1]) if record else f"{base.rstrip('/')}/{SUMS}"
    try:
        with open_url(url) as answer:
            text = answer.read(LARGEST).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return {}
    return md5_of_record(text) if record else md5_of_list(text)


def md5_of_record(text: str) -> dict[str, str]:
    """From a Zenodo record; empty where it is not understood."""
    try:
        found = {str(file["key"]): str(file["checksum"]) for file in json.loads(text)["files"]}
    except (ValueError, KeyError, TypeError):
        return {}
    sums = {name: checksum.removeprefix("md5:").lower() for name, checksum in found.items()}
    return {name: md5 for name, md5 in sums.items() if MD5.fullmatch(md5)}


def md5_of_list(text: str) -> dict[str, str]:
    """From lines of a sum and a name; other lines are passed over."""
    pairs = (line.split(maxsplit=1) for line in text.splitlines())
    sums = {pair[1].strip().lstrip("*"): pair[0].lower() for pair in pairs if len(pair) == 2}
    return {name: md5 for name, md5 in sums.items() if MD5.fullmatch(md5)}
