"""Slow links make bytes few, fast ones leave them as they are; what is measured decides anew."""

from __future__ import annotations

import pytest
from mersey.engine.client.wire_choice import WireChoice


def test_before_anything_is_measured_bytes_travel_as_they_are() -> None:
    assert WireChoice(cores=2).choose() == "as-stored"


@pytest.mark.parametrize(
    ("link_bytes_per_s", "form"),
    [(20e6 / 8, "htj2k"), (100e6 / 8, "htj2k"), (1e9, "as-stored"), (3e9, "as-stored")],
)
def test_the_link_decides(link_bytes_per_s, form) -> None:
    choice = WireChoice(cores=2)
    choice.measured_link(link_bytes_per_s)
    assert choice.choose() == form


def test_what_the_server_does_not_offer_is_not_chosen() -> None:
    choice = WireChoice(cores=2, offered=("as-stored", "zstd"))
    choice.measured_link(1e6)
    assert choice.choose() == "zstd"


def test_a_link_that_the_probe_took_for_fast_is_found_slow_while_bytes_come() -> None:
    choice = WireChoice(cores=2)
    choice.measured_link(1e9)
    assert choice.choose() == "as-stored"
    for _ in range(8):
        choice.came("as-stored", 2.5e6)
    assert choice.choose() == "htj2k"
    assert choice.link_bytes_per_s == pytest.approx(2.5e6, rel=2)


def test_a_link_that_the_probe_took_for_slow_is_found_fast_while_bytes_come() -> None:
    choice = WireChoice(cores=2)
    choice.measured_link(50e6)
    assert choice.choose() == "htj2k"
    for _ in range(8):
        choice.came("htj2k", 400e6)
    assert choice.choose() == "as-stored"


def test_processors_that_are_busy_are_not_taken_for_a_slow_link() -> None:
    choice = WireChoice(cores=1)
    choice.measured_link(125e6)
    for _ in range(8):
        choice.measured_work("htj2k", 50e6)
        choice.came("htj2k", 0.4 * 48e6)
    assert choice.link_bytes_per_s == 125e6
    assert choice.choose() == "as-stored"


def test_images_that_hardly_shrink_travel_as_they_are() -> None:
    choice = WireChoice(cores=2, offered=("as-stored", "htj2k"))
    choice.measured_link(120e6)
    choice.measured_ratio("htj2k", length_bytes=99, size_bytes=100)
    assert choice.choose() == "as-stored"


def test_a_form_that_is_hardly_better_is_no_reason_to_change() -> None:
    choice = WireChoice(cores=2, offered=("as-stored", "zstd"))
    choice.measured_link(10e6)
    choice.measured_ratio("zstd", length_bytes=99, size_bytes=100)
    choice.current = "as-stored"
    assert choice.choose() == "as-stored"
