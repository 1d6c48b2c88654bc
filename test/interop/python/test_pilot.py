"""The Python module against two daemons, by the way that TRANSPORT names: the same assertions for both."""

import os
import socket
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.environ["PILOT_PY"])
import pilot  # noqa: E402

PROGRAM = [os.environ["NODE"], os.environ["PILOTCTL_JS"]]
ALICE, BOB = os.environ["ALICE"], os.environ["BOB"]


def node(home):
    if os.environ["TRANSPORT"] == "socket":
        return pilot.Pilot(home=home)
    return pilot.PilotCtl(PROGRAM, home=home)


class Everything(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.alice, cls.bob = node(ALICE), node(BOB)
        cls.address = cls.alice.info()["address"]

    def setUp(self):
        self.maxDiff = None

    def test_messages(self):
        """Into the inbox, in order, with what JSON they were."""
        self._drain()
        self.assertEqual(self.alice.send_message("bob", "grüße"), "ACK TEXT 7 bytes")
        first = self.bob.next_message(10)
        self.assertEqual((first.kind, first.text, first.sender), ("TEXT", "grüße", self.address))
        self.assertTrue(self.alice.send("bob", 1001, {"rows": 1842}).startswith(b"ACK JSON"))
        self.assertEqual(self.bob.receive(1001, 10), b'{"rows": 1842}')

    def test_streams(self):
        """To the peer's echo, in both directions at once; what is long, and the end."""
        with self.alice.connect("bob", 7) as stream:
            sent = bytes(range(256)) * 2048
            writer = threading.Thread(target=stream.write, args=(sent,))
            if isinstance(self.alice, pilot.PilotCtl):
                writer.start()
                self.assertEqual(stream.read_exactly(len(sent)), sent)
                writer.join()
            else:
                stream.write(sent)
                self.assertEqual(stream.read_exactly(len(sent)), sent)
            stream.end()
            self.assertEqual(stream.read_all(), b"")

    def test_receive(self):
        """One end binds a port, the other sends; it is dialled until it is there."""
        got = []
        receiver = threading.Thread(target=lambda: got.append(self.bob.receive(4242, 20)))
        receiver.start()
        while receiver.is_alive():
            try:
                self.assertEqual(self.alice.send("bob", 4242, "hello"), b"")
            except pilot.PilotError as error:
                self.assertEqual(error.code, "connection_failed", error)
        receiver.join()
        self.assertEqual(got, [b"hello"])

    def test_events(self):
        """Of a peer and of the own node, with numbers; others are not heard."""
        with self.alice.subscribe("data.*") as own, self.bob.subscribe("data.*", node="alice") as peer:
            self.alice.publish("other", "no")
            sequence = self.alice.publish("data.done", {"papers": 12})
            self.assertIsInstance(sequence, int)
            for heard in (own.next(20), peer.next(20)):
                self.assertEqual((heard.topic, heard.text, heard.sequence), ("data.done", '{"papers": 12}', sequence))
            self.assertRaises(pilot.PilotError, own.next, 0.05)

    def test_tasks(self):
        """Given, accepted, told of, and done; of a kind, as programs of effect-pilot give them."""
        for kind in ("", "sum") if isinstance(self.alice, pilot.Pilot) else ("sum",):
            given = self.alice.submit_task("bob", "sum", {"a": 1, "b": 2}, kind=kind)
            task = self.bob.accept_task(20, kind=kind)
            self.assertEqual((task.id, task.params, task.sender), (given, {"a": 1, "b": 2}, self.address))
            self.bob.progress(task.id, {"done": 1, "of": 2})
            self.bob.send_results(task.id, {"sum": 3})
            result = self.alice.task_result(given, 20)
            self.assertEqual((result.status, result.text, result.progress), ("COMPLETED", '{"sum": 3}', {"done": 1, "of": 2}))
        self.assertIsNone(self.bob.accept_task(0.01))

    def test_errors(self):
        """With the codes of pilotctl."""
        for code, ask in (
            ("invalid_state", lambda: self.bob.send_results(self._finished(), "again")),
            ("not_found", lambda: self.bob.progress("no-such-task", 1)),
            ("invalid_argument", lambda: self.alice.publish("x", b"\xff\xfe") if isinstance(self.alice, pilot.PilotCtl)
             else self.alice.publish("x" * 2000, "")),
            ("not_running", lambda: node("/nonexistent/pilot").info()),
        ):
            with self.assertRaises(pilot.PilotError) as caught:
                ask()
            self.assertEqual(caught.exception.code, code)
        with self.assertRaises(pilot.PilotError) as caught, self.alice.connect("bob", 4711) as stream:
            stream.write("x")
            stream.read()
        self.assertEqual(caught.exception.code, "connection_failed")

    def test_stranger(self):
        """Who is not trusted is told apart from who is away, with what to do about it."""
        with self.assertRaises(pilot.PilotError) as caught:
            self.alice.send("carol", 7, "hello", timeout=5)
        self.assertEqual(caught.exception.code, "untrusted")
        self.assertIn("pilotctl trust", caught.exception.hint)

    def test_binary(self):
        """Bytes arrive as they are, or are refused where only text goes; they are never changed."""
        data = bytes(range(256))

        def refused(ask):
            with self.assertRaises(pilot.PilotError) as caught:
                ask()
            self.assertEqual(caught.exception.code, "invalid_argument")

        if isinstance(self.alice, pilot.Pilot):
            self._drain()
            self.assertEqual(self.alice.send_message("bob", data), "ACK BINARY 256 bytes")
            message = self.bob.next_message(10)
            self.assertEqual((message.kind, message.data), ("BINARY", data))
            with self.bob.subscribe("bytes", node="alice") as heard:
                self.alice.publish("bytes", data)
                self.assertEqual(heard.next(20).data, data)
        else:
            refused(lambda: self.alice.send_message("bob", data))
            refused(lambda: self.alice.publish("bytes", data))
        given = self.alice.submit_task("bob", "bytes", kind="bytes")
        self.bob.accept_task(20, kind="bytes")
        refused(lambda: self.bob.send_results(given, data))
        self.bob.send_results(given, "done")
        self.assertEqual(self.alice.task_result(given, 20).text, "done")

    def _drain(self):
        """What other tests have left in the inbox is not waited for."""
        with self.assertRaises(pilot.PilotError):
            while True:
                self.bob.next_message(0)

    def _finished(self):
        given = self.alice.submit_task("bob", "nothing")
        self.bob.accept_task(20)
        self.bob.send_results(given, "done")
        return given


@unittest.skipUnless(os.environ["TRANSPORT"] == "socket", "of the socket only")
class Articles(unittest.TestCase):
    """The functions that articles use, with the daemon of this user."""

    def setUp(self):
        self.addCleanup(os.environ.pop, "PILOT_HOME", None)

    def test_functions(self):
        os.environ["PILOT_HOME"] = ALICE
        self.assertIs(pilot.send, pilot.pilot_send)
        self.assertEqual(pilot.pilot_send("bob", 1001, "hello"), b"ACK TEXT 5 bytes")
        with pilot.connect("bob", 7) as stream:
            stream.write("there")
            self.assertEqual(stream.read_exactly(5), b"there")
        os.environ["PILOT_HOME"] = BOB
        self.assertEqual(pilot.pilot_receive(1001), pilot.Pilot().inbox()[0].data)


@unittest.skipUnless(os.environ["TRANSPORT"] == "socket", "of the socket only")
class Bounded(unittest.TestCase):
    """A daemon that is none, or somebody else's."""

    def served(self, *frames):
        directory = tempfile.mkdtemp()
        server = socket.socket(socket.AF_UNIX)
        server.bind(f"{directory}/pilot.sock")
        server.listen()

        def serve():
            client = server.accept()[0]
            client.recv(5)
            for frame in frames:
                client.sendall(frame)
            client.close()

        threading.Thread(target=serve, daemon=True).start()
        self.addCleanup(server.close)
        return pilot.Pilot(home=directory)

    def refused(self, *frames):
        with self.assertRaises(pilot.PilotError) as caught:
            self.served(*frames).info()
        return caught.exception.code

    def test_frames(self):
        self.assertEqual(self.refused(b"\xff\xff\xff\xff"), "connection_failed")
        self.assertEqual(self.refused(b"\x00\x00"), "not_running")
        self.assertEqual(self.refused(b"\x00\x00\x00\x00\x00\x00\x00\x03\x0e[]"), "connection_failed")
        self.assertEqual(self.refused(b"\x00\x00\x00\x06\x0a\x00\x01no!"), "connection_failed")

    def test_owner(self):
        client = self.served()
        path = client._paths[0]
        real = os.lstat

        class Foreign:
            st_mode, st_uid = real(path).st_mode, os.getuid() + 1

        pilot.os.lstat = lambda _: Foreign
        self.addCleanup(setattr, pilot.os, "lstat", real)
        with self.assertRaises(pilot.PilotError) as caught:
            client.info()
        self.assertEqual(caught.exception.code, "permission_denied")

    def test_patterns(self):
        for pattern, yes, no in (("data.*", "data.a.b", "data"), ("*.failed", "task.failed", "a.b.failed"),
                                 ("data.**", "data", "database"), ("a.**.z", "a.b.c.z", "a.b")):
            self.assertTrue(pilot._matches(pattern, yes))
            self.assertFalse(pilot._matches(pattern, no))


if __name__ == "__main__":
    unittest.main(verbosity=2)
