"""The workers of one run: they meet, agree, and notice at once when one of them is gone.

TensorFlow alone waits up to an hour for a worker that never comes, and does not say for whom; it
starts happily with workers of other settings; and of one whose machine lost power it hears nothing.
So the workers first meet over a connection of their own, on the addresses that TensorFlow takes
after that, and keep it for as long as the run lasts. Worker 0 is in the middle: each of the others
has one connection, to it.

What goes over it is a JSON object per line, with one key for its kind:

    hello    to worker 0: who I am, and what must be the same on all workers
    welcome  from worker 0: all are here
    refused  from worker 0: why not
    alive    every 2 s, both ways
    agree    to worker 0: my value of something
    verdict  from worker 0: None, or whose value differs
    bye      both ways: I leave; None, or which error made me
    gone     from worker 0: which worker the others have lost

There is no encryption and no password, as in TensorFlow's own traffic: for private networks only.
"""

import os
import queue
import select
import socket
import sys
import threading
import time

from gan_tf.distributed.messages import TIMEOUT_SECONDS, Line, connect, split
from gan_tf.system import console
from gan_tf.system.errors import RunFailed, UserError, one_line, with_flags

SILENT_SECONDS = 24  # a worker that was stopped for 20 s goes on; a dead one is noticed within 30 s
_ALIVE_SECONDS = 2
_GRACE_SECONDS = 4  # for the main thread to end by itself before the process is ended
_SAY_SECONDS = 10
_RETRY_SECONDS = 0.3


class Cluster:
    """One worker's connections to the others, while its `with` block runs.

    Entering waits for all workers. Once one is gone, `lost` says which; a process that is still
    there a few seconds later, as its main thread waits for data that never comes, is ended.

    Args:
      addresses: "host:port" of each worker; the first one is worker 0.
      index: which of them this process is.
      facts: what must be the same on all workers, a dict of texts and numbers by name.
      join_seconds: how long to wait for the others.

    Raises:
      UserError: the own address is in use, or worker 0 has refused this worker.
      RunFailed: not all of them came in time.
    """

    def __init__(self, addresses: list[str], index: int, facts: dict, join_seconds: int):
        self.addresses = addresses
        self.index = index
        self.lost = None
        self.advice = lambda: "the same command on all machines starts again"
        self._hello = {"index": index, "addresses": addresses, "facts": facts}
        self._join_seconds = join_seconds
        self._lines = {}  # by index of the worker at the other end
        self._answers = queue.Queue()  # (index, message) for the main thread
        self._changed = threading.Event()
        self._leaving = threading.Event()

    def __enter__(self):
        listener = self._listen()
        try:
            join = self._wait_for_others if self.index == 0 else self._wait_for_welcome
            join(listener)
        except BaseException:
            self._close()
            raise
        finally:
            listener.close()  # TensorFlow takes the address now
        self._watcher = threading.Thread(target=self._watch, name="cluster", daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, _type, error, _traceback):
        self.leave(error and (str(error) or type(error).__name__))
        self._watcher.join()
        self._close()

    def name(self, index: int) -> str:
        """Returns how a worker is called in messages."""
        return f"worker {index} ({self.addresses[index]})"

    def agree(self, what: str, value):
        """Waits for all workers to come to this point, and makes sure that their values are equal.

        Args:
          what: what the value is, for the error.
          value: a text, a number or None.

        Raises:
          RunFailed: they are not, or a worker is gone.
        """
        if self.index == 0:
            values = {0: value}
            while len(values) < len(self.addresses):
                index, message = self._answer("agree")
                values[index] = message["value"]
            differing = [self.name(index) for index in sorted(values) if values[index] != value]
            verdict = None
            if differing:
                verdict = f"{what} of {', '.join(differing)} and of {self.name(0)} are not the same"
            for line in list(self._lines.values()):
                line.send({"verdict": verdict})
        else:
            self._lines[0].send({"agree": what, "value": value})
            verdict = self._answer("verdict")[1]["verdict"]
        if verdict:
            raise RunFailed(verdict)

    def explain(self, error: Exception) -> RunFailed:
        """Returns the error to raise where TensorFlow's connections broke: which worker is lost."""
        self._changed.wait(_GRACE_SECONDS)
        if not self.lost:
            return RunFailed(
                f"the workers have lost one another ({one_line(error)}); {self.advice()}"
            )
        return RunFailed(self._loss())

    def leave(self, reason: str | None = None):
        """Tells the others that this worker leaves: all have come to the end, or it has failed."""
        if not self._leaving.is_set():
            self._leaving.set()
            for line in list(self._lines.values()):
                line.send({"bye": reason})

    # ------------------------------------------------------------------------------- the meeting

    def _listen(self):
        host, port = split(self.addresses[self.index])
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name != "nt":  # lest the connections of a run just ended hold the address
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # Any interface, as TensorFlow does: the name may be that of a router or a service.
            listener.bind((host if host in ("localhost", "127.0.0.1") else "", port))
            listener.listen(len(self.addresses))
        except OSError as error:
            listener.close()
            raise UserError(
                f"{self.name(self.index)} cannot take its own address, port {port} of this machine"
                f" ({error.strerror}): end what uses it, or name another port on all workers"
            ) from error
        return listener

    def _wait_for_others(self, listener):
        """Worker 0 takes in each worker that fits, and sends the others away with the reason."""
        waiting = _Waiting(self._join_seconds)
        while missing := [i for i in range(1, len(self.addresses)) if i not in self._lines]:
            try:
                waiting.say(self._missing(missing))
            except RunFailed as error:
                for line in self._lines.values():
                    line.send({"failed": str(error)})
                raise
            for index, line in list(self._lines.items()):  # one may have given up again
                if line.ready():
                    line.receive()
                if line.closed:
                    self._lines.pop(index).close()
                else:
                    line.send({"missing": missing})
            if not select.select([listener], [], [], _RETRY_SECONDS)[0]:
                continue
            line = Line(listener.accept()[0])
            hello = line.wait_for("hello", TIMEOUT_SECONDS)
            if hello is None:  # somebody else's program
                line.close()
                continue
            reason = self._misfit(hello["hello"])
            if reason is None:
                self._lines[hello["hello"]["index"]] = line
            else:
                console.say(f"refused {with_flags(reason)}")
                line.send({"refused": reason})
                line.close()
        for line in list(self._lines.values()):
            line.send({"welcome": True})

    def _misfit(self, hello):
        """Says why a worker cannot be taken in; None if it can."""
        try:
            index, addresses = hello["index"], hello["addresses"]
            facts = dict(hello["facts"])
        except (KeyError, TypeError, ValueError):
            return "a program that is no worker of gan_tf"
        if addresses != self.addresses or index not in range(1, len(self.addresses)):
            return f"a worker of another run, whose workers are {addresses!r:.200}"
        if index in self._lines:
            return f"a second {self.name(index)}: give each worker an index of its own"
        ours = self._hello["facts"]
        differing = [
            f"{name} is {facts.get(name)!r:.80} on it and {value!r} on {self.name(0)}"
            for name, value in ours.items()
            if facts.get(name) != value
        ]
        return f"{self.name(index)}: {'; '.join(differing)}" if differing else None

    def _wait_for_welcome(self, _listener):
        """The other workers look for worker 0, and wait until it has found all of them."""
        waiting = _Waiting(self._join_seconds)
        missing = [0]
        while True:
            waiting.say(self._missing(missing))
            line = connect(self.addresses[0])
            if line is None:
                time.sleep(_RETRY_SECONDS)
                continue
            line.send({"hello": self._hello})
            while not line.closed:
                waiting.say(self._missing(missing))
                message = line.wait_for(None, _RETRY_SECONDS) or {}
                missing = message.get("missing", missing)
                if "failed" in message:
                    line.close()
                    raise RunFailed(message["failed"])
                if "refused" in message:
                    line.close()
                    raise UserError(f"{self.name(0)} refused {message['refused']}")
                if "welcome" in message:
                    self._lines[0] = line
                    return
            line.close()
            missing = [0]
            time.sleep(_RETRY_SECONDS)

    def _missing(self, indices):
        return ", ".join(map(self.name, indices))

    # ------------------------------------------------------------------------------ during the run

    def _answer(self, kind):
        """The next message of a kind; raises RunFailed once a worker is gone."""
        while True:
            try:
                index, message = self._answers.get(timeout=_RETRY_SECONDS)
            except queue.Empty:
                if self.lost:
                    raise RunFailed(self._loss()) from None
                continue
            if kind in message:
                return index, message

    def _watch(self):
        """Reads what the others say, and notices who has fallen silent."""
        heard = dict.fromkeys(self._lines, time.monotonic())
        said = 0.0
        while self._lines and not self.lost and not self._leaving.is_set():
            if time.monotonic() - said > _ALIVE_SECONDS:
                said = time.monotonic()
                for line in list(self._lines.values()):
                    line.send({"alive": True})
            # All that has come is read before anyone is called silent: it may be this process
            # that was stopped for a while.
            ready = select.select(list(self._lines.values()), [], [], _RETRY_SECONDS)[0]
            for index, line in list(self._lines.items()):
                messages = line.receive() if line in ready else []
                if messages:
                    heard[index] = time.monotonic()
                for message in messages:
                    self._take(index, message)
                if index in self._lines and line.closed:
                    self._lose(f"{self.name(index)} is gone")
                elif time.monotonic() - heard[index] > SILENT_SECONDS:
                    self._lose(f"{self.name(index)} has not answered for {SILENT_SECONDS} s")
        if self.lost and not self._leaving.wait(_GRACE_SECONDS):
            # The main thread waits inside TensorFlow for what will never come.
            print(f"failed: {with_flags(self._loss())}", file=sys.stderr, flush=True)
            os._exit(1)

    def _take(self, index, message):
        if "bye" in message:
            if message["bye"] is None:  # all workers have come to the end
                self._lines.pop(index)
            else:
                self._lose(f"{self.name(index)} has ended: {message['bye']}")
        elif "gone" in message:
            self._lose(message["gone"])
        elif "agree" in message or "verdict" in message:
            self._answers.put((index, message))

    def _lose(self, text):
        if not self.lost:
            self.lost = str(text)
            for line in list(self._lines.values()):
                line.send({"gone": self.lost})
            self._changed.set()

    def _loss(self):
        return f"{self.lost}; {self.advice()}"

    def _close(self):
        for line in list(self._lines.values()):
            line.close()


class _Waiting:
    """Says every 10 s for whom a worker waits, and gives up in the end."""

    def __init__(self, seconds):
        self._seconds = seconds
        self._began = self._said = time.monotonic()

    def say(self, missing):
        now = time.monotonic()
        if now - self._began > self._seconds:
            raise RunFailed(
                f"waited {self._seconds} s for {missing}: start every worker within `join_seconds`,"
                " and let each machine reach the others on these ports"
            )
        if now - self._said >= _SAY_SECONDS:
            self._said = now
            console.say(f"waiting for {missing}")
