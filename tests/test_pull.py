#!/usr/bin/env python3
"""solo pull against a server of this file that cuts, stalls, lies, redirects and answers other things."""
import hashlib
import http.server
import json
import os
import subprocess
import tempfile
import threading
import time
import unittest

BIN = os.environ["SOLO_BIN"]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, body):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.asked, self.etag, self.released = body, [], '"one"', threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def head(self, status, length, **more):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for key, value in more.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()

    def do_GET(self):
        s, body = self.server, self.server.body
        n_ask = sum(path == self.path for path, _, _ in s.asked)
        s.asked.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        name = self.path.split("/")[-2] if self.path.count("/") > 1 else ""
        if name == "none":
            return self.head(404, 0)
        if name == "secret":
            return self.head(403, 0)
        if name == "busy" and n_ask == 0:
            return self.head(503, 0)
        if name == "page":
            html = b"<!DOCTYPE html><title>Sign in</title>"
            self.head(200, len(html), Content_Type="text/html; charset=utf-8")
            return self.wfile.write(html)
        if name == "strange":
            self.head(200, 5, Content_Type="application/octet-stream")
            return self.wfile.write(b"hello")
        if name == "moved":
            return self.head(302, 0, Location=self.path.replace("moved", "whole"), ETag='"of the redirect"')
        if name == "round":
            return self.head(302, 0, Location=self.path)
        if name == "empty":
            return self.head(200, 0)
        first = 0
        asked = self.headers.get("Range")
        if asked and name != "deaf" and self.headers.get("If-Range") == s.etag:
            first = int(asked[len("bytes="):-1])
            if first >= len(body):
                return self.head(416, 0, Content_Range=f"bytes */{len(body)}")
            if name == "skew":
                first += 7
            self.head(206, len(body) - first, ETag=s.etag, Content_Range=f"bytes {first}-{len(body) - 1}/{len(body)}")
        elif name == "hub":
            self.head(200, len(body), ETag=s.etag, X_Linked_ETag='"%s"' % hashlib.sha256(b"another").hexdigest())
        elif name == "short":  # says less than there is: the client sees a file that ends early
            self.head(200, len(body) // 2, ETag=s.etag)
            return self.wfile.write(body[:len(body) // 2])
        elif name == "unsaid":
            self.head(200, None, Connection="close")
        else:
            self.head(200, len(body), ETag=s.etag)
        end = len(body)
        if name in ("cut", "deaf", "skew", "changed") and n_ask == 0:
            end = len(body) // 3
        if name == "cut" and n_ask == 1:
            end = 2 * len(body) // 3
        if name == "barren":
            end = first
        if name == "stall" and n_ask == 0:
            self.wfile.write(body[:len(body) // 2])
            self.wfile.flush()
            self.server.released.wait(30)
            return None
        if name == "changed" and n_ask == 0:
            s.etag, s.next = '"two"', True
        self.wfile.write(body[first:end])
        if end < len(body):
            self.wfile.flush()
            self.close_connection = True
        return None


class Pull(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.models = os.path.join(folder.name, "models")
        model = os.path.join(folder.name, "m.gguf")
        subprocess.run([BIN, "synth", "toy:64x2x2", model], check=True, capture_output=True, timeout=60)
        with open(model, "rb") as file:
            self.server = Server(file.read())
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.server.released.set)

    def run_solo(self, *arguments, wanted=0, **env):
        done = subprocess.run([BIN, *arguments], capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "SOLO_MODELS": self.models, **env})
        self.assertEqual(done.returncode, wanted, done.stderr)
        return done.stdout.strip() if wanted == 0 else done.stderr

    def pull(self, name, *more, wanted=0):
        return self.run_solo("pull", self.server.url(f"{name}/m.gguf"), *more, wanted=wanted)

    def assert_whole(self, path):
        with open(path, "rb") as file:
            self.assertEqual(file.read(), self.server.body)
        self.assertEqual(sorted(os.listdir(os.path.dirname(path))), ["m.gguf"])  # no .part is left

    def ranges(self):
        return [r for _, r, _ in self.server.asked]

    def test_whole_and_catalogue(self):
        path = self.pull("whole", "--sha256", hashlib.sha256(self.server.body).hexdigest().upper())
        self.assert_whole(path)
        self.assertTrue(path.startswith(self.models + "/127.0.0.1/"))
        found = json.loads(self.run_solo("models", "--json"))[self.server.url("whole/m.gguf")]
        self.assertEqual((found["path"], found["n_bytes"]), (path, len(self.server.body)))
        self.assertEqual(found["sha256"], hashlib.sha256(self.server.body).hexdigest())
        self.assertIn(path, self.run_solo("models"))
        self.assertEqual(self.pull("whole"), path)
        self.assertEqual(len(self.server.asked), 1)  # nothing is fetched twice
        os.remove(path)
        self.assertEqual(json.loads(self.run_solo("models", "--json")), {})

    def test_by_name(self):
        endpoint = self.server.url("hub-of-ours")
        path = self.run_solo("pull", "some-org/whole:m.gguf", "--endpoint", endpoint)
        self.assertEqual(self.server.asked[0][0], "/hub-of-ours/some-org/whole/resolve/main/m.gguf")
        self.assertTrue(path.endswith("/some-org/whole/m.gguf"))
        self.run_solo("pull", "some-org/other:sub/m.gguf", SOLO_ENDPOINT=endpoint)
        self.assertEqual(self.server.asked[1][0], "/hub-of-ours/some-org/other/resolve/main/sub/m.gguf")

    def test_a_name_is_a_model(self):
        """Where a command takes a MODEL: its whole name, ORG/REPO:FILE of an address, a part that only one has."""
        info = lambda name, **more: self.run_solo("info", name, "--json", **more)
        named = self.run_solo("pull", "some-org/whole:m.gguf", "--endpoint", self.server.url("hub-of-ours"))
        by_address = self.pull("org/repo/resolve/main")
        wanted = info(named)
        self.assertIn('"arch"', wanted)
        for name in ("some-org/whole:m.gguf", "WHOLE", self.server.url("org/repo/resolve/main/m.gguf"), "org/repo:m.gguf",
                     "127.0.0.1"):
            self.assertEqual(info(name), wanted, name)
        for name in ("rg/repo:m.gguf", "org/repo:n.gguf", "org/repo2:m.gguf", "", "./m.gguf"):
            err = info(name, wanted=1)
            self.assertIn("found none; what pull keeps is:\n", err, name)
            self.assertIn("\n  some-org/whole:m.gguf", err)
        err = info("m.gguf", wanted=1)
        self.assertIn("found several that it is a part of", err)
        self.assertIn("\n  some-org/whole:m.gguf\n", err)
        self.assertIn("found none; what pull keeps is: nothing", info("x", wanted=1, SOLO_MODELS=self.models + "/none"))
        self.run_solo("convert", "whole", named + ".f32.gguf", "--type", "f32")
        os.remove(named)
        self.assertIn("found none", info("some-org/whole:m.gguf", wanted=1))
        self.assertEqual(info(by_address), wanted)
        self.assertEqual(info("m.gguf"), wanted)  # the only one left

    def test_wrong_names(self):
        for name in ("m.gguf", "ftp://host/m.gguf", "org/repo:../../m.gguf", "org/repo:/m.gguf", "../repo:m.gguf",
                     "http://host/", "http://host/..", "org/repo/more:m.gguf", "http://host/.hidden"):
            self.assertIn("wanted http(s)", self.run_solo("pull", name, wanted=2), name)
        self.pull("whole", "--sha256", "abc", wanted=2)
        self.assertEqual(self.server.asked, [])

    def test_cut_twice(self):
        self.assert_whole(self.pull("cut"))
        n = len(self.server.body)
        self.assertEqual(self.ranges(), [None, f"bytes={n // 3}-", f"bytes={2 * n // 3}-"])
        self.assertEqual(self.server.asked[1][2], '"one"')

    def test_stall(self):
        began = time.monotonic()
        self.assert_whole(self.pull("stall", "--stall", "1"))
        self.assertLess(time.monotonic() - began, 15)
        self.assertEqual(self.ranges(), [None, f"bytes={len(self.server.body) // 2}-"])

    def test_server_without_ranges(self):
        self.assert_whole(self.pull("deaf"))  # answers the whole file to a Range
        self.assertEqual(len(self.server.asked), 2)

    def test_another_part(self):
        self.assert_whole(self.pull("skew"))
        self.assertEqual(self.ranges()[0::2], [None, None])  # the wrong part is thrown away: from the start

    def test_changed_meanwhile(self):
        self.assert_whole(self.pull("changed"))
        self.assertEqual(self.server.asked[1][2], '"one"')  # the server has "two" by then

    def test_goes_on_in_another_run(self):
        name = self.server.url("cut/m.gguf")
        part = os.path.join(self.models, "127.0.0.1", "m.gguf.part")
        os.makedirs(os.path.dirname(part))
        with open(part, "wb") as file:
            file.write(self.server.body[:1000])
        with open(part + ".json", "w", encoding="utf-8") as file:
            json.dump({"url": name, "etag": '"one"', "last_modified": ""}, file)
        self.assert_whole(self.pull("cut"))
        self.assertEqual(self.ranges()[0], "bytes=1000-")
        self.server.asked.clear()
        self.assert_whole(self.pull("whole"))  # another address: nothing to go on from
        self.assertEqual(self.ranges(), [None])

    def test_redirects(self):
        self.assert_whole(self.pull("moved"))
        self.assertIn("redirects", self.pull("round", wanted=1))

    def test_busy(self):
        self.assert_whole(self.pull("busy"))

    def test_no_length(self):
        self.assert_whole(self.pull("unsaid"))

    def test_refused(self):
        for name, text in (("none", "404 (no such file)"), ("secret", "403 (access refused"), ("page", "found a web page"),
                           ("strange", "wanted a GGUF file"), ("empty", "empty answer")):
            began = time.monotonic()
            self.assertIn(text, self.pull(name, wanted=1))
            self.assertLess(time.monotonic() - began, 5, name)  # no try is repeated in vain
            self.assertEqual([f for _, _, files in os.walk(self.models) for f in files if f == "m.gguf"], [])

    def test_lies(self):
        err = self.pull("short", wanted=1)  # its length is what it said, but the directory wants more
        self.assertIn("m.gguf", err)
        self.assertFalse(os.path.exists(os.path.join(self.models, "127.0.0.1", "m.gguf")))
        wrong = hashlib.sha256(b"another").hexdigest()
        for more in (("whole", "--sha256", wrong), ("hub",)):
            err = self.pull(*more, wanted=1)
            self.assertIn(f"wanted {wrong}, found {hashlib.sha256(self.server.body).hexdigest()}", err)
        self.assertFalse(os.path.exists(os.path.join(self.models, "127.0.0.1", "m.gguf.part")))

    def test_gives_up(self):
        self.assertIn("m.gguf", self.pull("barren", "--stall", "1", wanted=1))
        self.assertLess(len(self.server.asked), 10)

    def test_nobody_there(self):
        self.server.server_close()
        self.server.shutdown()
        self.run_solo("pull", "http://127.0.0.1:9/m.gguf", wanted=1)


if __name__ == "__main__":
    unittest.main()
