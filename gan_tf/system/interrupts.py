"""The first Ctrl-C or SIGTERM asks a run to save and stop; the second one stops it at once."""

import signal
import threading


class StopRequest:
    """While its `with` block runs, signals set `received` to their number instead of ending it.

    Python delivers signals to the main thread only: elsewhere nothing is caught.
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
        """Raises KeyboardInterrupt after Ctrl-C, SystemExit(143) after SIGTERM, else nothing."""
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        if self.received == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
