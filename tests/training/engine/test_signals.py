"""SIGTERM is remembered, from wherever the first block begins."""

import os
import signal

from training.engine import signals


def test_a_block_within_another_has_its_requests():
    before = signal.getsignal(signal.SIGTERM)
    with signals.stop_requested() as outer:
        assert not outer()
        os.kill(os.getpid(), signal.SIGTERM)
        assert outer()
        with signals.stop_requested() as inner:
            assert inner()
        assert outer()
    assert signal.getsignal(signal.SIGTERM) == before
    with signals.stop_requested() as later:
        assert not later()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_request_has_the_default_effect():
    with signals.stop_requested() as outer, signals.stop_requested() as inner:
        os.kill(os.getpid(), signal.SIGTERM)
        assert outer() and inner()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
