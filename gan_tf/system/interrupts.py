"""Signals: the first Ctrl-C or SIGTERM lets a run save and stop, the second stops it at once."""

import signal
import threading


class StopRequest:
    """Records the first signal during its `with` block in `received` instead of stopping there.

    Python delivers signals to the main thread only; in another thread nothing is recorded.
    """

    def __init__(self):
        self.received = None
        self._previous = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number, _frame):
        second = self.received is not None
        self.received = number
        if second:
            self.obey()

    def obey(self):
        """Raises KeyboardInterrupt after Ctrl-C, or SystemExit(143) after SIGTERM."""
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        if self.received == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
