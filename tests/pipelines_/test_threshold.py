"""The address that the review page is told under is one that a browser can open."""

from pathlib import Path

import pytest

from pipelines.review.doors import Door
from pipelines.review.threshold import Threshold


@pytest.mark.parametrize(
    ("names", "origin"),
    [
        (("*.example.org", "review.example.org"), "https://review.example.org:8443"),
        (("review.example.org", "*.example.org"), "https://review.example.org:8443"),
        (("*.example.org", "::1"), "https://[::1]:8443"),
        (("*.example.org",), "https://192.0.2.7:8443"),
    ],
)
def test_a_wildcard_of_the_certificate_is_no_address(names, origin):
    door = Door(host="192.0.2.7", certificate=Path("cert.pem"), key=Path("key.pem"))
    assert Threshold(door, 8443, None, names).origin == origin
