"""Messages between two processes: one JSON object per line, over TCP."""

import json
import select
import socket
import threading
import time

TIMEOUT_SECONDS = 5  # to connect, to send, and for a stranger to say who it is
_LONGEST_LINE = 2**16


class Line:
    """A connection that carries one JSON object per line; an error closes it."""

    def __init__(self, connection):
        self.closed = False
        self._connection = connection
        self._connection.settimeout(TIMEOUT_SECONDS)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self._received = []
        self._sending = threading.Lock()  # the watching thread says that it is alive

    def fileno(self):
        return self._connection.fileno()

    def send(self, message):
        try:
            with self._sending:
                self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass  # whoever reads from it will find it closed

    def ready(self, seconds=0):
        return not self.closed and bool(select.select([self], [], [], seconds)[0])

    def receive(self):
        """Returns the messages that have come; waits for some bytes."""
        try:
            content = self._connection.recv(_LONGEST_LINE)
            *lines, self._rest = (self._rest + content).split(b"\n")
            self.closed = not content or len(self._rest) > _LONGEST_LINE
            messages = [json.loads(line) for line in lines]
        except (OSError, ValueError, RecursionError):
            self.closed = True
            return []
        return [message for message in messages if isinstance(message, dict)]

    def wait_for(self, kind, seconds):
        """Returns the first message of a kind, or of any; None if none comes in time."""
        deadline = time.monotonic() + seconds
        while True:
            while self._received:
                message = self._received.pop(0)
                if kind is None or kind in message:
                    return message
            if not self.ready(max(0, deadline - time.monotonic())):
                return None
            self._received += self.receive()
            if self.closed and not self._received:
                return None

    def close(self):
        self.closed = True
        self._connection.close()


def connect(address):
    try:
        return Line(socket.create_connection(split(address), timeout=TIMEOUT_SECONDS))
    except OSError:
        return None  # not there yet, or its name is not known yet


def split(address):
    host, _, port = address.rpartition(":")
    return host, int(port)
