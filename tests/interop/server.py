"""An amphi-server as a process with a folder of its own, for the interoperability tests. Media on 127.0.0.1."""
import json
import os
import subprocess
import time
import urllib.request


class Server:
    def __init__(self, binary, folder, *extra):
        self.binary = binary
        self.key = os.path.join(folder, "key")
        descriptor = os.open(self.key, os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(descriptor, b"ab" * 32)
        os.close(descriptor)
        self.recordings = os.path.join(folder, "recordings")
        self.ready = os.path.join(folder, "ready")
        self.process = subprocess.Popen([
            binary, "serve", "--listen", "127.0.0.1", "--media-address", "127.0.0.1", "--port", "0", "--media-port", "0", "--workers", "1",
            "--key-file", self.key, "--recordings", self.recordings, "--ready-file", self.ready, *extra])
        while not (os.path.exists(self.ready) and os.path.getsize(self.ready)):
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.05)
        with open(self.ready) as file:
            self.host = "127.0.0.1:%d" % json.load(file)["port"]
        self.url = "http://" + self.host

    def token(self, session, identity, grants):
        return subprocess.run([self.binary, "token", "--key-file", self.key, "--session", session, "--identity", identity, "--grants", grants],
                              check=True, capture_output=True, text=True).stdout.strip()

    def rest(self, method, path, token, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": "Bearer " + token, "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or "null")

    def record(self, session, seconds):
        """Records for so long, waits until the recording is complete, verifies it, and gives its manifest."""
        token = self.token(session, "recorder", "record")
        path = "/v1/sessions/%s/recording" % session
        self.rest("POST", path, token, {"on": True})
        self.wait(lambda: self.rest("GET", path, token)["totalMs"] >= seconds * 1000, "a recording of %d s" % seconds)
        self.rest("POST", path, token, {"on": False})
        self.wait(lambda: not self.rest("GET", path, token)["on"], "the recording's end")
        manifest = self.rest("GET", path + "s?limit=1", token)["recordings"][0]
        assert manifest["state"] == "complete", manifest
        folder = self.folder(session, manifest)
        subprocess.run([self.binary, "verify", folder], check=True, stdout=subprocess.DEVNULL)
        for track in manifest["tracks"]:
            complaints = subprocess.run(["ffmpeg", "-v", "error", "-i", os.path.join(folder, track["path"]), "-f", "null", "-"],
                                        check=True, capture_output=True, text=True).stderr
            assert complaints == "", complaints
        return manifest

    def folder(self, session, manifest):
        return os.path.join(self.recordings, session, manifest["recordingId"])

    @staticmethod
    def wait(condition, what, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "not within %d s: %s" % (seconds, what)
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
