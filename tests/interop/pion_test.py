#!/usr/bin/python3
"""Pion (pion/) as publisher and subscriber of a real server: packets arrive, recordings decode, and refusals are told with their reason.

Usage: pion_test.py AMPHI_SERVER AMPHI_PION
"""
import json
import os
import subprocess
import sys
import tempfile
import threading

from server import Server

PION = sys.argv[2]
MODE_0 = "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"
HIGH = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f"


class Pion:
    """The process; `events` holds what it has said."""

    def __init__(self, server, session, role, *arguments):
        token = server.token(session, "pion " + role, "subscribe" if role == "watch" else "publish")
        self.process = subprocess.Popen([PION, role, "--server", server.url, "--session", session, "--token", token, *arguments],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.events = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def wait(self, what, fits):
        try:
            Server.wait(lambda: any(map(fits, self.events)), what)
        except AssertionError as error:
            raise AssertionError("%s; it said last %s" % (error, self.events[-4:])) from None
        return next(filter(fits, self.events))

    def receives(self, kind, codec):
        """More than 60 packets of this kind, with few lost ones."""
        track = self.wait(kind + " arrives", lambda e: e["event"] == "track" and e["kind"] == kind and e["packets"] > 60)
        assert track["codec"] == codec and track["lost"] <= 2, track
        return track

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(20) == 0, "the client failed"


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)


def make_media(folder):
    picture = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30:duration=4", "-pix_fmt", "yuv420p"]
    at = {name: os.path.join(folder, name) for name in ("a.ivf", "a.ogg", "high.h264", "single.h264")}
    ffmpeg(*picture, "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "30", "-b:v", "400k", at["a.ivf"])
    ffmpeg("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=4", "-c:a", "libopus", "-page_duration", "20000", at["a.ogg"])
    x264 = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-f", "h264"]
    ffmpeg(*picture, *x264, "-profile:v", "high", "-x264-params", "keyint=30:aud=1:8x8dct=1", at["high.h264"])
    ffmpeg(*picture, *x264, "-profile:v", "baseline", "-x264-params", "keyint=30:aud=1:slice-max-size=1000", at["single.h264"])
    return at


def publish_and_watch(server, session, video_codec, sound, *arguments):
    """One Pion publishes, another with default settings receives, and the recording holds what was sent."""
    with Pion(server, session, "watch") as viewer, Pion(server, session, "publish", *arguments) as camera:
        camera.wait("the answer", lambda e: e["event"] == "publishAnswer" and not e["refused"])
        received = viewer.receives("video", "video/" + video_codec)
        if sound:
            viewer.receives("audio", "audio/opus")
        manifest = server.record(session, 3)
        assert sorted(track["codec"] for track in manifest["tracks"]) == [video_codec] + ["opus"] * sound, manifest["tracks"]
        for track in manifest["tracks"]:
            assert track["frames"] > 60 and not track.get("lostPackets"), track
        answer = viewer.wait("an answer", lambda e: e["event"] == "answered")["sdp"]
        print(session, "received", received, "answered", [line for line in answer.splitlines() if line.startswith("a=setup")])
        return manifest


def h264_profile(server, session, manifest):
    path = os.path.join(server.folder(session, manifest), manifest["tracks"][0]["path"])
    return subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=profile", "-of", "csv=p=0", path], check=True, capture_output=True, text=True).stdout.strip()


def run(server, media):
    publish_and_watch(server, "vp8", "VP8", True, "--vp8", media["a.ivf"], "--opus", media["a.ogg"])
    high = publish_and_watch(server, "high", "H264", True, "--h264", media["high.h264"], "--fmtp", HIGH, "--opus", media["a.ogg"])
    video = next(track for track in high["tracks"] if track["codec"] == "H264")
    assert h264_profile(server, "high", {**high, "tracks": [video]}) == "High"
    publish_and_watch(server, "mode0", "H264", False, "--h264", media["single.h264"], "--fmtp", MODE_0, "--single-nal")
    with Pion(server, "mode2", "publish", "--h264", media["single.h264"], "--fmtp", "packetization-mode=2;profile-level-id=42e01f") as camera:
        answer = camera.wait("the answer", lambda e: e["event"] == "publishAnswer")
        assert answer["refused"][0]["code"] == "unsupported" and "packetization-mode" in answer["refused"][0]["message"], answer
        assert not answer["feeds"], answer


with tempfile.TemporaryDirectory() as scratch:
    server = Server(sys.argv[1], scratch)
    try:
        run(server, make_media(scratch))
    finally:
        server.stop()
