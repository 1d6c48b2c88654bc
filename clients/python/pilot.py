"""Pilot for Python: one file, standard library only.

    from pilot import Pilot
    pilot = Pilot()                                   # the daemon of this user, over its socket
    pilot.send_message("reporter", {"rows": 1842})    # into the inbox of a trusted peer
    task = pilot.accept_task(timeout=60)              # work that peers give to this node
    if task:
        pilot.progress(task.id, {"done": 1, "of": 2})
        pilot.send_results(task.id, "the answer is 3")

``PilotCtl`` has the same methods and runs ``pilotctl --json`` for each. Every call has a time limit and a bound on
what it reads; whatever fails is a ``PilotError`` with ``code``, ``message`` and ``hint``, in the words of ``pilotctl``.
Objects may be used from several threads: each call has a socket or a process of its own. See docs/python.md.
"""

from __future__ import annotations

import abc
import base64
import json
import logging
import os
import secrets
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Deque, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

__all__ = ["Event", "Message", "Pilot", "PilotBase", "PilotCtl", "PilotError", "Result", "Stream", "Subscription",
           "Task", "connect", "pilot_receive", "pilot_send", "send"]

Data = Union[bytes, str, dict, list]

STDIO, INBOX, EVENTS = 1000, 1001, 1002
FRAME_MAX = 1 << 20
PAYLOAD_MAX = 16 << 20
BUFFERED_MAX = 4 << 20
OUTPUT_MAX = 64 << 20
INLINE_MAX = 80_000  # twelve bytes each at worst, and a frame has a mebibyte
DIAL_S = 35.0
ANSWER_S = 30.0
log = logging.getLogger("pilot")


class PilotError(Exception):
    """What did not work: ``code`` for programs (those of ``pilotctl``), ``message`` for people, ``hint`` for the way on."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.code, self.message, self.hint = code, message, hint


@dataclass(frozen=True)
class Message:
    """A message of a peer. ``kind`` is ``TEXT``, ``JSON`` or ``BINARY``."""

    sender: str
    kind: str
    data: bytes
    received_at: str

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True)
class Event:
    """An event, with the broker it was heard from; a broker of the reference gives no sequence number."""

    topic: str
    data: bytes
    broker: str
    sequence: Optional[int] = None

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True)
class Task:
    """Work that a peer gave to this node."""

    id: str
    sender: str
    description: str
    params: Dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What became of a task that this node gave away. ``text`` is None without a result, or if it is the file ``path``."""

    id: str
    status: str
    detail: str
    text: Optional[str]
    path: Optional[str]
    progress: Any


class Stream(abc.ABC):
    """An open stream to a port of a peer; a context manager. For one thread at a time."""

    @abc.abstractmethod
    def write(self, data: Union[bytes, str], timeout: float = ANSWER_S) -> None:
        """Sends all of it; waits while the peer does not read."""

    @abc.abstractmethod
    def read(self, size: int = 65536, timeout: float = ANSWER_S) -> bytes:
        """What has come, at least one byte and at most ``size``; ``b""`` once the peer has ended."""

    @abc.abstractmethod
    def end(self) -> None:
        """No more writes; the peer's answer still comes."""

    @abc.abstractmethod
    def close(self) -> None:
        """Both directions. What was written is delivered."""

    def read_exactly(self, size: int, timeout: float = ANSWER_S) -> bytes:
        """Exactly so many bytes, or ``connection_failed``."""
        until, parts, missing = time.monotonic() + timeout, [], size
        while missing > 0:
            part = self.read(min(missing, 65536), max(0.0, until - time.monotonic()))
            if not part:
                raise PilotError("connection_failed", f"the stream ended {missing} bytes too early")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def read_all(self, limit: int = PAYLOAD_MAX, timeout: float = ANSWER_S) -> bytes:
        """Everything until the peer ends, if it is no more than ``limit`` bytes."""
        until, parts, size = time.monotonic() + timeout, [], 0
        while True:
            part = self.read(65536, max(0.0, until - time.monotonic()))
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            if size > limit:
                raise PilotError("invalid_argument", f"the peer sent more than {limit} bytes")

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Subscription(abc.ABC):
    """Events as they come; an iterator and a context manager. It is heard from the moment this exists."""

    @abc.abstractmethod
    def next(self, timeout: Optional[float] = None) -> Event:
        """The next event; ``timeout`` error if none comes in time, for ever without one."""

    @abc.abstractmethod
    def close(self) -> None:
        """Hears no more."""

    def __iter__(self) -> Iterator[Event]:
        while True:
            yield self.next()

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PilotBase(abc.ABC):
    """What both ways to a node offer. A peer is a hostname, an address or a node id."""

    def __init__(self) -> None:
        self._seen: Counter = Counter()
        self._lock = threading.Lock()

    @abc.abstractmethod
    def info(self) -> Dict[str, Any]:
        """The node: ``address``, ``node_id``, ``hostname``, …"""

    @abc.abstractmethod
    def connect(self, peer: str, port: int = STDIO) -> Stream:
        """A stream to a port of a peer."""

    @abc.abstractmethod
    def receive(self, port: int, timeout: float = ANSWER_S) -> bytes:
        """Binds the port, and gives the first bytes of the next stream; 1001 means the inbox."""

    @abc.abstractmethod
    def send_message(self, peer: str, data: Data) -> str:
        """Into the peer's inbox, on its disk when this returns; gives its acknowledgement."""

    @abc.abstractmethod
    def inbox(self) -> List[Message]:
        """What is in the inbox, the oldest first; it stays there."""

    @abc.abstractmethod
    def publish(self, topic: str, data: Data, to: Optional[str] = None) -> Optional[int]:
        """On this node's broker, or on a peer's; gives the sequence number once it is on disk."""

    @abc.abstractmethod
    def subscribe(self, pattern: str, node: Optional[str] = None, consumer: Optional[str] = None) -> Subscription:
        """Events of this node and of every peer trusted now, or of one node; ``consumer`` misses nothing."""

    @abc.abstractmethod
    def submit_task(self, peer: str, description: str, params: Optional[Mapping[str, Any]] = None,
                    kind: str = "") -> str:
        """Gives a task to a peer; its id."""

    @abc.abstractmethod
    def task_result(self, task_id: str, timeout: float = 3600.0) -> Result:
        """Waits until a submitted task is done."""

    @abc.abstractmethod
    def accept_task(self, timeout: float = 45.0, kind: str = "") -> Optional[Task]:
        """The next task, accepted; None if none comes in time. ``kind``: of those that ``Tasks.submit`` gives."""

    @abc.abstractmethod
    def progress(self, task_id: str, value: Any) -> None:
        """Tells the submitter of an accepted task how far it is: any JSON value."""

    @abc.abstractmethod
    def send_results(self, task_id: str, data: Data) -> None:
        """Finishes a task; delivered now, or when its submitter can be reached. Anything but text is sent as JSON."""

    def send(self, peer: str, port: int, data: Data, timeout: float = ANSWER_S) -> bytes:
        """One message to a port and its first answer (``b""``: none); to 1001 it is a message for the inbox."""
        if port == INBOX:
            return self.send_message(peer, data).encode()
        with self.connect(peer, port) as stream:
            stream.write(_bytes(data), timeout)
            return stream.read(timeout=timeout)

    def next_message(self, timeout: float = ANSWER_S) -> Message:
        """The oldest message of the inbox that this object has not given yet, also one that comes."""
        until = time.monotonic() + timeout
        while True:
            with self._lock:
                there: Counter = Counter()
                for message in self.inbox():
                    there[message] += 1
                    if there[message] > self._seen[message]:
                        self._seen[message] += 1
                        return message
                self._seen &= there
            if time.monotonic() >= until:
                raise PilotError("timeout", f"no message within {timeout:g}s")
            time.sleep(0.2)


class Pilot(PilotBase):
    """The daemon of this user, over its local socket."""

    def __init__(self, socket_path: Optional[str] = None, home: Optional[str] = None) -> None:
        super().__init__()
        environment = os.environ.get("PILOT_HOME")
        self.home = Path(home or environment or Path.home() / ".pilot")
        self._paths = _candidates(socket_path, self.home, bool(home or environment), home is None)

    def info(self) -> Dict[str, Any]:
        with _Ipc(self._paths) as ipc:
            return _json(ipc.ask(0x0D, b"", ANSWER_S))

    def connect(self, peer: str, port: int = STDIO) -> Stream:
        return self._dial(peer, port)

    def _dial(self, peer: str, port: int) -> "_IpcStream":
        ipc = _Ipc(self._paths)
        try:
            wish = {"op": "dial", "target": str(peer), "port": port, "timeout_ms": int(DIAL_S * 1000), "ends": True}
            try:
                reply = ipc.own(wish, DIAL_S + 5)
                return _IpcStream(ipc, int(reply["dialled"]), str(reply.get("address", peer)))
            except PilotError as error:
                if not error.message.startswith("unknown command:"):
                    raise _dial_error(error, str(peer), port) from None
            try:
                address = _address(str(peer)) or _address(
                    _json(ipc.ask(0x11, str(peer).encode(), ANSWER_S)).get("address", ""))
                if address is None:
                    raise PilotError("not_found", f"cannot resolve {peer!r}")
                dialled = ipc.ask(0x03, struct.pack(">HIH", *address, port), DIAL_S + 5)
            except PilotError as error:
                raise _dial_error(error, str(peer), port) from None
            return _IpcStream(ipc, struct.unpack(">I", dialled[:4])[0], "%d:%04X.%04X.%04X" % (
                address[0], address[0], address[1] >> 16, address[1] & 0xFFFF))
        except BaseException:
            ipc.close()
            raise

    def receive(self, port: int, timeout: float = ANSWER_S) -> bytes:
        if port == INBOX:
            return self.next_message(timeout).data
        until = time.monotonic() + timeout
        ipc = _Ipc(self._paths)
        try:
            ipc.ask(0x01, struct.pack(">H", port), ANSWER_S)
            while True:
                opcode, payload = ipc.frame(until - time.monotonic())
                if opcode == 0x05 and len(payload) >= 14:
                    address = struct.unpack(">HHH", payload[6:12])
                    stream = _IpcStream(ipc, struct.unpack(">I", payload[2:6])[0], "%d:%04X.%04X.%04X" % (
                        address[0], address[0], address[1], address[2]))
                    return stream.read(timeout=until - time.monotonic())
        finally:
            ipc.close()

    def send_message(self, peer: str, data: Data) -> str:
        kind = 2 if isinstance(data, bytes) else 1 if isinstance(data, str) else 3
        payload = _bytes(data)
        _limit(payload, "a message")
        with self._dial(peer, INBOX) as stream:
            stream.write(struct.pack(">II", kind, len(payload)) + payload)
            _, length = struct.unpack(">II", stream.read_exactly(8))
            if length > FRAME_MAX:
                raise PilotError("connection_failed", f"an acknowledgement of {length} bytes")
            ack = stream.read_exactly(length).decode("utf-8", "replace")
        if not ack.startswith("ACK "):
            raise PilotError("unavailable", f"{peer} has not stored it: {ack}")
        return ack

    def inbox(self) -> List[Message]:
        found = []
        try:
            names = [name for name in os.listdir(self.home / "inbox") if name.endswith(".json")]
        except FileNotFoundError:
            return []
        for name in sorted(names, key=lambda name: name.partition("-")[2]):
            try:
                with open(self.home / "inbox" / name, "rb") as file:
                    row = json.loads(file.read(PAYLOAD_MAX * 8))
                found.append(_message(row))
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return found

    def publish(self, topic: str, data: Data, to: Optional[str] = None) -> Optional[int]:
        nonce, name, payload = secrets.token_hex(8), topic.encode(), _bytes(data)
        _limit(payload, "an event")
        with self._dial(to or self._own(), EVENTS) as stream:
            stream.write(_event_frame(name, _offer({"mode": "publish", "nonce": nonce})) + _event_frame(name, payload))
            stream.end()
            is_ours, until = False, time.monotonic() + ANSWER_S
            while True:
                frame = _read_event_frame(stream, until)
                if frame is None:
                    if is_ours:
                        raise PilotError("connection_failed", "the broker was lost; it may have the event")
                    return None
                answer = _answer(frame[1])
                if answer.get("nonce") == nonce:
                    is_ours = True
                elif is_ours and frame[1][:1] == b"\x02" and len(frame[1]) == 13:
                    return struct.unpack(">Q", frame[1][5:])[0]
                elif is_ours and frame[1][:1] == b"\x03":
                    raise PilotError("connection_failed", f"publish: {frame[1][5:].decode('utf-8', 'replace')}")

    def subscribe(self, pattern: str, node: Optional[str] = None, consumer: Optional[str] = None) -> Subscription:
        return _IpcSubscription(self, pattern, node, consumer)

    def submit_task(self, peer: str, description: str, params: Optional[Mapping[str, Any]] = None,
                    kind: str = "") -> str:
        found = self._own_operation({"op": "peer", "target": str(peer), "recent": True})
        text = description if params is None else json.dumps({"description": description, "params": params})
        wish = {"op": "task.submit", "to": found["node_id"], "description": text, "kind": kind, "now": kind == "",
                "life_ms": 0, "priority": 0}
        task = self._task(wish)
        if task["status"] == "DECLINED":
            raise PilotError("unavailable", f"{peer} has declined the task: {task['justification']}")
        return str(task["id"])

    def task_result(self, task_id: str, timeout: float = 3600.0) -> Result:
        until = time.monotonic() + timeout
        task = self._task({"op": "task.get", "side": "submitted", "id": task_id})
        while task["status"] not in _DONE:
            left = until - time.monotonic()
            if left <= 0:
                raise PilotError("timeout", f"task {task_id} is not done")
            known = {key: task[key] for key in ("side", "id", "revision", "heard")}
            task = self._task({"op": "task.changed", "task": known, "timeout_ms": int(min(left, 20) * 1000)})
        stored = task.get("result") or {}
        text = None
        if stored.get("type") == "text":
            with open(stored["path"], "rb") as file:
                text = file.read(PAYLOAD_MAX).decode("utf-8", "replace")
        return Result(task_id, task["status"], task["justification"], text, stored.get("path"),
                      _parsed(task.get("progress", "")))

    def accept_task(self, timeout: float = 45.0, kind: str = "") -> Optional[Task]:
        until = time.monotonic() + timeout
        while True:
            left = max(0.0, until - time.monotonic())
            try:
                task = self._task({"op": "task.accept", "kind": kind, "wait_ms": int(min(left, 20) * 1000)})
                return _task(task["id"], task["from"], task["description"])
            except PilotError as error:
                if error.code != "not_found":
                    raise
                if time.monotonic() >= until:
                    return None

    def progress(self, task_id: str, value: Any) -> None:
        self._task({"op": "task.progress", "id": task_id, "progress": json.dumps(value)})

    def send_results(self, task_id: str, data: Data) -> None:
        text = _text(data)
        if len(text) <= INLINE_MAX:
            self._task({"op": "task.finish", "id": task_id, "text": text})
            return
        with tempfile.NamedTemporaryFile(prefix="pilot-result-") as file:
            file.write(text.encode())
            file.flush()
            self._task({"op": "task.finish", "id": task_id, "path": file.name, "name": ""})

    def _own(self) -> str:
        return str(self.info()["node_id"])

    def _own_operation(self, wish: Mapping[str, Any]) -> Dict[str, Any]:
        with _Ipc(self._paths) as ipc:
            reply = ipc.own(wish, ANSWER_S + 5)
        refused = reply.get("refused")
        if refused:
            raise PilotError(_TASK_CODES.get(refused, "internal"), str(reply.get("detail", refused)))
        return reply

    def _task(self, wish: Mapping[str, Any]) -> Dict[str, Any]:
        task = self._own_operation(wish).get("task")
        if not isinstance(task, dict):
            raise PilotError("unavailable", "the running daemon answers otherwise than this version expects",
                             "restart the daemon")
        return task


class PilotCtl(PilotBase):
    """The same through ``pilotctl --json``: a process for each call. ``program`` is one word or several."""

    def __init__(self, program: Union[str, Sequence[str], None] = None, home: Optional[str] = None) -> None:
        super().__init__()
        chosen = program or os.environ.get("PILOTCTL") or shutil.which("pilotctl") or "pilotctl"
        self._program = [chosen] if isinstance(chosen, str) else list(chosen)
        self._environment = {**os.environ, **({"PILOT_HOME": home} if home else {})}

    def info(self) -> Dict[str, Any]:
        return self._data("info")

    def connect(self, peer: str, port: int = STDIO) -> Stream:
        return _ProcessStream(self._start("connect", str(peer), str(port), stdin=subprocess.PIPE))

    def send(self, peer: str, port: int, data: Data, timeout: float = ANSWER_S) -> bytes:
        if port == INBOX:
            return self.send_message(peer, data).encode()
        words = ("send", str(peer), str(port), "--data", _text(data), "--timeout", _duration(timeout))
        return str(self._data(*words, limit=timeout + 45).get("response", "")).encode()

    def receive(self, port: int, timeout: float = ANSWER_S) -> bytes:
        if port == INBOX:
            return self.next_message(timeout).data
        rows = self._data("recv", str(port), "--timeout", _duration(timeout), limit=timeout + 10).get("messages")
        if not rows:
            raise PilotError("timeout", f"no stream within {timeout:g}s")
        if "error" in rows[0]:
            raise PilotError("connection_failed", str(rows[0]["error"]))
        return str(rows[0]["data"]).encode()

    def send_message(self, peer: str, data: Data) -> str:
        if isinstance(data, bytes):
            raise PilotError("invalid_argument", "pilotctl sends text", "bytes go over the socket: Pilot()")
        kind = "text" if isinstance(data, str) else "json"
        return str(self._data("send-message", str(peer), "--data", _text(data), "--type", kind).get("ack", ""))

    def inbox(self) -> List[Message]:
        rows = self._data("inbox").get("messages") or []
        return sorted((_message(row) for row in rows), key=lambda message: message.received_at)

    def publish(self, topic: str, data: Data, to: Optional[str] = None) -> Optional[int]:
        where = ["--to", str(to)] if to else []
        sequence = self._data("events", "publish", "--topic", topic, "--data", _text(data), *where).get("sequence")
        return None if sequence is None else int(sequence)

    def subscribe(self, pattern: str, node: Optional[str] = None, consumer: Optional[str] = None) -> Subscription:
        extra = [*(["--from", str(node)] if node else []), *(["--consumer", consumer] if consumer else [])]
        started = self._start("--json", "events", "subscribe", "--topic", pattern, *extra)
        return _ProcessSubscription(started)

    def submit_task(self, peer: str, description: str, params: Optional[Mapping[str, Any]] = None,
                    kind: str = "") -> str:
        text = description if params is None else json.dumps({"description": description, "params": params})
        extra = ["--kind", kind, "--queue"] if kind else []
        data = self._data("task", "submit", str(peer), "--task", text, *extra, limit=70)
        if not data.get("accepted"):
            raise PilotError("unavailable", f"{peer} has declined the task: {data.get('message')}")
        return str(data["task_id"])

    def task_result(self, task_id: str, timeout: float = 3600.0) -> Result:
        data = self._data("task", "watch", "--id", task_id, "--timeout", _duration(timeout), limit=timeout + 10)
        text = data.get("result")
        return Result(task_id, data["status"], data["justification"], text, data.get("result_path"),
                      data.get("progress"))

    def accept_task(self, timeout: float = 45.0, kind: str = "") -> Optional[Task]:
        extra = ["--kind", kind] if kind else []
        try:
            row = self._run("task", "accept", "--wait", _duration(timeout), *extra, limit=timeout + 10)
        except PilotError as error:
            if error.code == "not_found":
                return None
            raise
        return _task(row["id"], row["from"], row["description"])

    def progress(self, task_id: str, value: Any) -> None:
        self._data("task", "progress", "--id", task_id, "--data", json.dumps(value))

    def send_results(self, task_id: str, data: Data) -> None:
        self._data("task", "send-results", "--id", task_id, "--results", _text(data))

    def _data(self, *words: str, limit: float = 60.0) -> Dict[str, Any]:
        data = self._run(*words, limit=limit).get("data")
        return data if isinstance(data, dict) else {}

    def _run(self, *words: str, limit: float) -> Dict[str, Any]:
        child = self._start("--json", *words)
        timer = threading.Timer(limit, child.kill)
        timer.start()
        try:
            assert child.stdout is not None
            text = child.stdout.read(OUTPUT_MAX + 1)
            if len(text) > OUTPUT_MAX:
                raise PilotError("invalid_argument", f"pilotctl printed more than {OUTPUT_MAX} bytes")
            code = child.wait()
        finally:
            timer.cancel()
            _stop(child)
        if code == -signal.SIGKILL:
            raise PilotError("timeout", f"pilotctl {words[0]} took longer than {limit:g}s")
        envelope = _parsed(text.decode("utf-8", "replace"))
        if isinstance(envelope, dict) and envelope.get("status") == "ok":
            return envelope
        raise _process_error(child)

    def _start(self, *words: str, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
        errors = tempfile.TemporaryFile()
        try:
            child = subprocess.Popen([*self._program, *words], stdin=stdin, stdout=subprocess.PIPE, stderr=errors,
                                     env=self._environment)
        except OSError as error:
            errors.close()
            raise PilotError("not_found", f"{self._program[0]}: {error.strerror}", "npm install -g effect-pilot") from None
        child.errors = errors  # type: ignore[attr-defined]
        return child


# --- the socket -----------------------------------------------------------------------------------------------------


class _Ipc:
    """One connection to the daemon. One request at a time; what is pushed meanwhile is kept."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._socket = _open(paths)
        self._socket.setblocking(False)
        self._buffer = bytearray()
        self._pushed: Deque[Tuple[int, bytes]] = deque()

    def __enter__(self) -> "_Ipc":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def tell(self, opcode: int, payload: bytes, timeout: float = ANSWER_S) -> None:
        """Writes a frame. Reads meanwhile, so that a peer that answers at length cannot block both sides."""
        left = memoryview(struct.pack(">IB", len(payload) + 1, opcode) + payload)
        until = time.monotonic() + timeout
        while left:
            readers = [self._socket] if len(self._buffer) < BUFFERED_MAX else []
            can_read, can_write, _ = select.select(readers, [self._socket], [], max(0.0, until - time.monotonic()))
            if not can_read and not can_write:
                raise PilotError("timeout", "the peer does not read")
            if can_read:
                self._fill()
            if can_write:
                try:
                    left = left[self._socket.send(left):]
                except BlockingIOError:
                    pass
                except OSError:
                    raise _lost() from None

    def ask(self, opcode: int, payload: bytes, timeout: float) -> bytes:
        """The reply to a request: every reply has the next opcode."""
        self.tell(opcode, payload)
        until = time.monotonic() + timeout
        while True:
            kind, body = self._next(until - time.monotonic())
            if kind == 0x0A:
                raise PilotError("connection_failed", body[2:].decode("utf-8", "replace"))
            if kind == opcode + 1 and not (kind == 0x72 and b'"event"' in body and "event" in _json(body)):
                return body
            self._pushed.append((kind, body))

    def own(self, wish: Mapping[str, Any], timeout: float) -> Dict[str, Any]:
        return _json(self.ask(0x71, json.dumps(wish).encode(), timeout))

    def frame(self, timeout: float) -> Tuple[int, bytes]:
        """The next frame that was pushed."""
        return self._pushed.popleft() if self._pushed else self._next(timeout)

    def fileno(self) -> int:
        return self._socket.fileno()

    def has_frame(self) -> bool:
        return bool(self._pushed) or self._whole() is not None

    def _whole(self) -> Optional[int]:
        if len(self._buffer) < 4:
            return None
        length = int.from_bytes(self._buffer[:4], "big")
        if length > FRAME_MAX:
            raise PilotError("connection_failed", f"the daemon sent a frame of {length} bytes")
        return length if len(self._buffer) >= 4 + length else None

    def _next(self, timeout: float) -> Tuple[int, bytes]:
        until = time.monotonic() + timeout
        while True:
            length = self._whole()
            if length is not None:
                body = bytes(self._buffer[4:4 + length])
                del self._buffer[:4 + length]
                if length:
                    return body[0], body[1:]
                continue
            if not select.select([self._socket], [], [], max(0.0, until - time.monotonic()))[0]:
                raise PilotError("timeout", "no answer in time")
            self._fill()

    def _fill(self) -> None:
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            raise _lost()
        self._buffer += data


class _IpcStream(Stream):
    def __init__(self, ipc: _Ipc, connection: int, remote: str) -> None:
        self.remote = remote
        self._ipc, self._connection = ipc, struct.pack(">I", connection)
        self._data = bytearray()
        self._ended = False
        self._reset = ""

    def write(self, data: Union[bytes, str], timeout: float = ANSWER_S) -> None:
        raw = memoryview(data.encode() if isinstance(data, str) else data)
        for at in range(0, len(raw), 65536):
            self._ipc.tell(0x06, self._connection + bytes(raw[at:at + 65536]), timeout)

    def read(self, size: int = 65536, timeout: float = ANSWER_S) -> bytes:
        until = time.monotonic() + timeout
        while not self._data and not self._ended:
            self.take(*self._ipc.frame(until - time.monotonic()))
        if not self._data and self._reset:
            raise PilotError("connection_failed", f"the stream was reset: {self._reset}")
        data = bytes(self._data[:size])
        del self._data[:size]
        return data

    def take(self, opcode: int, payload: bytes) -> None:
        if opcode == 0x07 and payload[:4] == self._connection:
            self._data += payload[4:]
        elif opcode == 0x09 and payload[:4] == self._connection:
            self._ended = True
        elif opcode == 0x72:
            event = _json(payload)
            if event.get("event") == "stream.reset" and event.get("connection") == int.from_bytes(self._connection, "big"):
                self._reset = str(event.get("reason", "reset"))

    def end(self) -> None:
        self._ipc.own({"op": "stream.end", "connection": int.from_bytes(self._connection, "big")}, ANSWER_S)

    def close(self) -> None:
        try:
            if self._ipc.fileno() >= 0:
                self._ipc.tell(0x08, self._connection)
        except PilotError:
            pass
        self._ipc.close()

    def wait(self, timeout: float) -> None:
        """Takes what has come; nothing may have."""
        try:
            self.take(*self._ipc.frame(timeout))
        except PilotError as error:
            if error.code != "timeout":
                raise

    def split_event(self) -> Optional[Tuple[bytes, bytes]]:
        """A whole frame of the event stream, if one is there; None also at the end."""
        if len(self._data) < 2:
            return None
        topic = int.from_bytes(self._data[:2], "big")
        if topic > 1024:
            raise PilotError("connection_failed", f"a topic of {topic} bytes")
        if len(self._data) < 6 + topic:
            return None
        size = int.from_bytes(self._data[2 + topic:6 + topic], "big")
        if size > PAYLOAD_MAX + 64:
            raise PilotError("connection_failed", f"an event of {size} bytes")
        whole = 6 + topic + size
        if len(self._data) < whole:
            return None
        frame = bytes(self._data[2:2 + topic]), bytes(self._data[6 + topic:whole])
        del self._data[:whole]
        return frame

    @property
    def is_over(self) -> bool:
        return self._ended and len(self._data) == 0

    @property
    def has_ended(self) -> bool:
        return self._ended

    @property
    def ipc(self) -> _Ipc:
        return self._ipc


@dataclass
class _Broker:
    stream: _IpcStream
    nonce: str
    is_ours: bool = False
    unacknowledged: Optional[int] = None


class _IpcSubscription(Subscription):
    """A stream to each broker; those that are trusted later, or were away, are looked for every few seconds."""

    def __init__(self, pilot: Pilot, pattern: str, node: Optional[str], consumer: Optional[str]) -> None:
        self._pilot, self._pattern, self._node, self._consumer = pilot, pattern, node, consumer
        self._brokers: Dict[str, _Broker] = {}
        self._looked = float("-inf")
        first = node or pilot._own()
        self._join(str(first))
        try:
            until = time.monotonic() + 2.0
            # A broker of the reference says nothing before the first event.
            while not self._brokers[str(first)].is_ours and time.monotonic() < until:
                broker = self._brokers[str(first)]
                broker.stream.wait(max(0.0, until - time.monotonic()))
                if broker.stream._data:
                    self._answer(broker)
                    break
            self._look()
        except BaseException:
            self.close()
            raise

    def next(self, timeout: Optional[float] = None) -> Event:
        until = None if timeout is None else time.monotonic() + timeout
        for broker in self._brokers.values():
            self._acknowledge(broker)
        while True:
            for name, broker in list(self._brokers.items()):
                event = self._one(name, broker)
                if event is not None:
                    return event
            self._look()
            left = LOOK_S if until is None else min(LOOK_S, until - time.monotonic())
            if left <= 0:
                raise PilotError("timeout", f"no event within {timeout:g}s")
            if not self._brokers:
                time.sleep(min(left, 0.5))
                continue
            for ipc in select.select([broker.stream.ipc for broker in self._brokers.values()], [], [], left)[0]:
                for name, broker in list(self._brokers.items()):
                    if broker.stream.ipc is ipc:
                        self._take(name, broker)

    def close(self) -> None:
        for broker in self._brokers.values():
            broker.stream.close()
        self._brokers.clear()

    def _take(self, name: str, broker: _Broker) -> None:
        try:
            broker.stream.wait(0)
        except PilotError as error:
            self._leave(name, broker, error.message)

    def _one(self, name: str, broker: _Broker) -> Optional[Event]:
        try:
            while True:
                while broker.stream.ipc.has_frame():
                    broker.stream.wait(0)
                frame = broker.stream.split_event()
                if frame is None:
                    if broker.stream.has_ended:
                        self._leave(name, broker, "the broker has closed the stream")
                    return None
                event = self._event(broker, *frame)
                if event is not None:
                    return event
        except PilotError as error:
            self._leave(name, broker, error.message)
            return None

    def _event(self, broker: _Broker, topic: bytes, payload: bytes) -> Optional[Event]:
        name = topic.decode("utf-8", "replace")
        if not broker.is_ours:
            if _answer(payload).get("nonce") == broker.nonce:
                broker.is_ours = True
                return None
            return Event(name, payload, broker.stream.remote) if _matches(self._pattern, name) else None
        if payload[:1] == b"\x01" and len(payload) >= 21:
            broker.unacknowledged = struct.unpack(">Q", payload[1:9])[0]
            return Event(name, payload[21:], broker.stream.remote, broker.unacknowledged)
        if payload[:1] == b"\x04" and len(payload) == 17:
            log.warning("%s does not keep events %d to %d any more", broker.stream.remote,
                        *struct.unpack(">QQ", payload[1:]))
        return None

    def _answer(self, broker: _Broker) -> None:
        frame = broker.stream.split_event()
        if frame is not None:
            broker.is_ours = _answer(frame[1]).get("nonce") == broker.nonce

    def _acknowledge(self, broker: _Broker) -> None:
        if self._consumer and broker.unacknowledged is not None:
            payload = b"\x07" + struct.pack(">Q", broker.unacknowledged)
            broker.unacknowledged = None
            try:
                broker.stream.write(_event_frame(b"", payload))
            except PilotError:
                pass

    def _look(self) -> None:
        """Joins brokers that are not joined."""
        if time.monotonic() - self._looked < LOOK_S:
            return
        wanted = [self._node] if self._node else [self._pilot._own(), *self._trusted()]
        for name in wanted:
            if str(name) not in self._brokers:
                try:
                    self._join(str(name))
                except PilotError as error:
                    log.info("events of %s: %s", name, error.message)
        self._looked = time.monotonic()

    def _trusted(self) -> List[str]:
        with _Ipc(self._pilot._paths) as ipc:
            rows = _json(ipc.ask(0x0F, b"\x05", ANSWER_S)).get("trusted") or []
        return [str(row["node_id"]) for row in rows if isinstance(row, dict) and "node_id" in row]

    def _join(self, name: str) -> None:
        stream = self._pilot._dial(name, EVENTS)
        nonce = secrets.token_hex(8)
        offer: Dict[str, Any] = {"mode": "subscribe", "nonce": nonce, "filter": self._pattern, "policy": "replay"}
        if self._consumer:
            offer["consumer"] = self._consumer
        known = self._pattern if "*" not in self._pattern else "*"
        stream.write(_event_frame(known.encode(), _offer(offer)))
        self._brokers[name] = _Broker(stream, nonce)

    def _leave(self, name: str, broker: _Broker, why: str) -> None:
        log.info("events of %s: %s", name, why)
        broker.stream.close()
        self._brokers.pop(name, None)


# --- processes ------------------------------------------------------------------------------------------------------


class _ProcessStream(Stream):
    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        self._child = child
        assert child.stdout is not None and child.stdin is not None
        self._in, self._out = child.stdin, child.stdout
        os.set_blocking(self._in.fileno(), False)

    def write(self, data: Union[bytes, str], timeout: float = ANSWER_S) -> None:
        left = memoryview(data.encode() if isinstance(data, str) else data)
        until = time.monotonic() + timeout
        while left:
            if not select.select([], [self._in], [], max(0.0, until - time.monotonic()))[1]:
                raise PilotError("timeout", "the peer does not read")
            try:
                left = left[os.write(self._in.fileno(), left[:65536]):]
            except BlockingIOError:
                pass
            except OSError:
                self._child.wait(ANSWER_S)
                raise _process_error(self._child) from None

    def read(self, size: int = 65536, timeout: float = ANSWER_S) -> bytes:
        if not select.select([self._out], [], [], timeout)[0]:
            raise PilotError("timeout", f"nothing came within {timeout:g}s")
        data = os.read(self._out.fileno(), size)
        if not data and self._child.wait(ANSWER_S) != 0:
            raise _process_error(self._child)
        return data

    def end(self) -> None:
        if not self._in.closed:
            self._in.close()

    def close(self) -> None:
        self.end()
        try:
            self._child.wait(1.0)
        except subprocess.TimeoutExpired:
            pass
        _stop(self._child)


class _ProcessSubscription(Subscription):
    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        self._child = child
        self._buffer = bytearray()
        try:
            while self._row(ANSWER_S).get("notice") != "joined":
                pass
        except BaseException:
            self.close()
            raise

    def next(self, timeout: Optional[float] = None) -> Event:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            row = self._row(None if until is None else until - time.monotonic())
            if "topic" in row and "data" in row:
                return Event(str(row["topic"]), str(row["data"]).encode(), str(row.get("broker", "")),
                             row.get("sequence"))

    def close(self) -> None:
        _stop(self._child)

    def _row(self, timeout: Optional[float]) -> Dict[str, Any]:
        until = None if timeout is None else time.monotonic() + timeout
        assert self._child.stdout is not None
        while b"\n" not in self._buffer:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._child.stdout], [], [], left)[0]:
                raise PilotError("timeout", "no event in time")
            data = os.read(self._child.stdout.fileno(), 65536)
            if not data:
                self._child.wait(ANSWER_S)
                raise _process_error(self._child)
            self._buffer += data
            if len(self._buffer) > OUTPUT_MAX:
                raise PilotError("invalid_argument", f"an event of more than {OUTPUT_MAX} bytes")
        line, _, rest = self._buffer.partition(b"\n")
        self._buffer = rest
        row = _parsed(line.decode("utf-8", "replace"))
        return row if isinstance(row, dict) else {}


def _stop(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(2.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None and not pipe.closed:
            pipe.close()


def _process_error(child: "subprocess.Popen[bytes]") -> PilotError:
    """With ``--json`` the last line is an object; without it is ``error: …`` and ``hint: …``."""
    errors = child.errors  # type: ignore[attr-defined]
    errors.seek(0)
    lines = errors.read(FRAME_MAX).decode("utf-8", "replace").strip().split("\n")
    row = _parsed(lines[-1])
    if isinstance(row, dict) and "message" in row:
        return PilotError(str(row.get("code", "internal")), str(row["message"]), str(row.get("hint", "")))
    said = {key: line[len(key) + 1:].strip() for line in lines for key in ("error", "hint") if line.startswith(f"{key}:")}
    return PilotError("connection_failed", said.get("error", lines[-1] or "pilotctl failed"), said.get("hint", ""))


# --- small things ---------------------------------------------------------------------------------------------------


def _candidates(chosen: Optional[str], home: Path, is_explicit: bool, uses_environment: bool) -> List[str]:
    """Where pilotctl looks for the socket, in its order."""
    said = chosen or (os.environ.get("PILOT_SOCKET") if uses_environment else None) or _configured(home)
    if said:
        return [said]
    own = str(home / "pilot.sock")
    if is_explicit:
        return [own]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [*([f"{runtime}/pilot.sock"] if runtime else []), own, "/tmp/pilot.sock"]


def _configured(home: Path) -> Optional[str]:
    try:
        with open(home / "config.json", "rb") as file:
            value = json.loads(file.read(FRAME_MAX))
        found = value.get("socket") if isinstance(value, dict) else None
        return found if isinstance(found, str) and found else None
    except (OSError, ValueError):
        return None


def _open(paths: Sequence[str]) -> socket.socket:
    """The first that answers. Somebody else's socket is never spoken to."""
    refused: Optional[PilotError] = None
    for path in paths:
        try:
            found = os.lstat(path)
        except OSError:
            continue
        if not stat.S_ISSOCK(found.st_mode):
            continue
        if found.st_uid not in (os.getuid(), os.geteuid()):
            refused = refused or PilotError("permission_denied", f"{path} belongs to uid {found.st_uid}")
            continue
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.connect(path)
            return opened
        except OSError:
            opened.close()
    raise refused or PilotError("not_running", "daemon is not running", "start the daemon with: pilotctl daemon start")


def _dial_error(error: PilotError, peer: str, port: int) -> PilotError:
    text, failure = error.message, f"cannot connect to {peer} port {port}"
    if text.startswith("dial: untrusted"):
        return PilotError("untrusted", f"{failure}: {text}", f"pilotctl trust add {peer}")
    if text.startswith(("dial: key changed", "dial: name moved")) or "key changed" in text or "name moved" in text:
        return PilotError("key_changed", f"{failure}: {text}", f"pilotctl trust accept-key {peer} --fingerprint FINGERPRINT")
    if text.startswith(("resolve", "lookup", "peer:")):
        return PilotError("not_found", f"{failure}: {text}", "is the hostname correct, and is there mutual trust?")
    if text == "dial timeout" or error.code == "timeout":
        return PilotError("timeout", f"{failure}: {text}", f"pilotctl ping {peer}")
    return PilotError(error.code, f"{failure}: {text}", error.hint or f"pilotctl ping {peer}")


def _lost() -> PilotError:
    return PilotError("not_running", "daemon disconnected", "start the daemon with: pilotctl daemon start")


def _address(text: str) -> Optional[Tuple[int, int]]:
    if text.isdigit() and len(text) <= 10 and int(text) <= 0xFFFFFFFF:
        return 0, int(text)
    network, _, rest = text.partition(":")
    parts = rest.split(".")
    if len(parts) != 3 or not network.isdigit():
        return None
    try:
        words = [int(part, 16) for part in parts]
    except ValueError:
        return None
    if words[0] != int(network) or any(word > 0xFFFF for word in words):
        return None
    return words[0], words[1] << 16 | words[2]


def _event_frame(topic: bytes, payload: bytes) -> bytes:
    if len(topic) > 1024:
        raise PilotError("invalid_argument", "a topic has at most 1024 bytes")
    return struct.pack(">H", len(topic)) + topic + struct.pack(">I", len(payload)) + payload


def _read_event_frame(stream: _IpcStream, until: float) -> Optional[Tuple[bytes, bytes]]:
    while True:
        frame = stream.split_event()
        if frame is not None or stream.has_ended:
            return frame
        if time.monotonic() >= until:
            raise PilotError("timeout", "the broker has not answered; it may have the event")
        stream.wait(until - time.monotonic())


def _offer(members: Mapping[str, Any]) -> bytes:
    return b"EPE\x01" + json.dumps(members).encode()


def _answer(payload: bytes) -> Dict[str, Any]:
    value = _parsed(payload[4:].decode("utf-8", "replace")) if payload[:4] == b"EPE\x01" else None
    return value if isinstance(value, dict) else {}


def _matches(pattern: str, topic: str) -> bool:
    """What our patterns mean, for brokers that do not know them (docs/events.md)."""
    if pattern == "*" or pattern == topic:
        return True
    if "*" not in pattern:
        return False
    wanted, given = pattern.replace("/", ".").split("."), topic.replace("/", ".").split(".")

    def fits(at: int, to: int) -> bool:
        if at == len(wanted):
            return to == len(given)
        if wanted[at] == "**":
            return any(fits(at + 1, rest) for rest in range(to, len(given) + 1))
        if wanted[at] == "*" and at == len(wanted) - 1:
            return to < len(given)
        return to < len(given) and wanted[at] in ("*", given[to]) and fits(at + 1, to + 1)

    return fits(0, 0)


def _message(row: Mapping[str, Any]) -> Message:
    exact = row.get("data_b64")
    data = base64.b64decode(exact) if row.get("data_encoding") == "base64" and exact else str(row["data"]).encode()
    return Message(str(row.get("from", "")), str(row["type"]), data, str(row.get("received_at", "")))


def _task(task_id: Any, sender: Any, description: Any) -> Task:
    value = _parsed(str(description))
    params = value.get("params", value) if isinstance(value, dict) else {}
    return Task(str(task_id), str(sender), str(description), params if isinstance(params, dict) else {})


def _bytes(data: Data) -> bytes:
    return data if isinstance(data, bytes) else _text(data).encode()


def _text(data: Data) -> str:
    if isinstance(data, str):
        return data
    if not isinstance(data, bytes):
        return json.dumps(data)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise PilotError("invalid_argument", "these bytes are no text") from None


def _limit(payload: bytes, what: str) -> None:
    if len(payload) > PAYLOAD_MAX:
        raise PilotError("invalid_argument", f"{what} has at most {PAYLOAD_MAX} bytes")


def _json(payload: bytes) -> Dict[str, Any]:
    value = _parsed(payload.decode("utf-8", "replace"))
    if not isinstance(value, dict):
        raise PilotError("connection_failed", "the daemon's answer is not understood")
    return value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _duration(seconds: float) -> str:
    return f"{max(1, int(seconds * 1000))}ms"


LOOK_S = 5.0
_DONE = ("SUCCEEDED", "COMPLETED", "DECLINED", "CANCELLED", "EXPIRED", "FAILED")
_TASK_CODES = {"NotFound": "not_found", "InvalidState": "invalid_state", "Stale": "invalid_state",
               "Expired": "expired", "Invalid": "invalid_argument", "Full": "unavailable",
               "Unreachable": "connection_failed", "NotStored": "internal", "Stopped": "unavailable"}


# --- as the articles write it -----------------------------------------------------------------------------------------


def connect(peer: str, port: int = STDIO) -> Stream:
    """A stream to a port of a peer, with the daemon of this user."""
    return Pilot().connect(peer, port)


def send(peer: str, port: int, data: Data) -> bytes:
    """One message and its first answer; to 1001 it goes to the inbox."""
    return Pilot().send(peer, port, data)


pilot_send = send


def pilot_receive(port: int, timeout: float = ANSWER_S) -> bytes:
    """What comes to a port first; of 1001 the oldest message of the inbox."""
    return Pilot().receive(port, timeout)
