"""GeoTIFFs that are read over a network."""

from typing import Final

GDAL_SETTINGS: Final = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no listing of the folder, no look for sidecars
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",  # the header of most COGs in one request
    "GDAL_HTTP_MULTIPLEX": "YES",  # ranges of one read side by side, where the server speaks HTTP/2
    "GDAL_HTTP_VERSION": "2",  # as above; servers without it answer in HTTP/1.1
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",  # neighbouring blocks in one request
    "GDAL_HTTP_MAX_RETRY": "5",  # 429, 5xx and lost connections are tried again,
    "GDAL_HTTP_RETRY_DELAY": "0.5",  # after 0.5, 1, 2, 4, 8 s: an image that is gone costs no minutes
    "GDAL_HTTP_CONNECTTIMEOUT": "20",  # seconds
    "GDAL_HTTP_LOW_SPEED_TIME": "30",  # a server that sends less than
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",  # 1000 bytes a second for 30 s counts as gone
    "CPL_VSIL_CURL_CACHE_SIZE": "67108864",  # headers stay for the next tile: 64 MiB
}
"""How GDAL reads over HTTP."""
