// The processes that a browser test needs beside the browser: the real server, and a native participant on the SDK.
import { spawn, execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const binaries = process.env.AMPHI_SAMPLES ?? process.env.AMPHI_BIN ?? join(root, 'build/dev/bin');
const serverBinary = process.env.AMPHI_SERVER ?? join(binaries, 'amphi-server');
const peerBinary = process.env.AMPHI_BROWSER_TEST_PEER ?? join(binaries, 'amphi-browser-test-peer');
const web = resolve(process.env.AMPHI_WEB ?? join(root, 'web/app/dist'));

/** Waits until `check` gives something truthy, and gives that. */
export async function until(what, check, limitMs = 15_000) {
  const end = performance.now() + limitMs;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

function ended(child) {
  return new Promise((done) => (child.exitCode !== null || child.signalCode !== null ? done() : child.once('exit', done)));
}

async function stop(child, signal) {
  if (child.pid === undefined) return;
  child.kill(signal);
  const gaveUp = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended(child);
  clearTimeout(gaveUp);
}

export class Server {
  /** `autopublish`: links share devices without a click, which most stories need. */
  static async start(further = [], { autopublish = true } = {}) {
    if (!existsSync(join(web, 'index.html'))) throw new Error(`${web} has no page: run "npm run build" in web/`);
    const server = new Server();
    server.folder = mkdtempSync(join(tmpdir(), 'amphi-browser-test-'));
    server.log = '';
    server.autopublish = autopublish ? ['--allow-autopublish'] : [];
    await server.run(['--port', '0', ...further]);
    return server;
  }

  async run(further) {
    const ready = join(this.folder, 'ready.json');
    rmSync(ready, { force: true });
    this.child = spawn(serverBinary, ['serve', '--dev', '--media-port', '0', '--ready-file', ready, '--recordings', join(this.folder, 'recordings'), '--web', web, ...this.autopublish, ...further],
      { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.on('error', (error) => { this.log += String(error); });
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (text) => { this.log += text; });
    const told = await until(`the server is ready; it said:\n${this.log}`, () => {
      if (this.child.exitCode !== null) throw new Error(`the server ended:\n${this.log}`);
      return existsSync(ready) && readFileSync(ready, 'utf8');
    });
    ({ url: this.url, key: this.key, port: this.port } = JSON.parse(told));
  }

  /** Ends by `signal`, and is there again: the same folder, key and port. */
  async restart(signal) {
    await stop(this.child, signal);
    const keyFile = join(this.folder, 'key');
    writeFileSync(keyFile, this.key);
    await this.run(['--port', String(this.port), '--key-file', keyFile]);
  }

  /** The session's recordings, newest first, as REST lists them. */
  async recordings(session) {
    const answer = await fetch(`${this.url}/v1/sessions/${session}/recordings`, { headers: { authorization: `Bearer ${this.token(session, 'reader')}` } });
    return (await answer.json()).recordings;
  }

  /** Fails where the recording in this folder is not as its manifest says. */
  verify(folder) {
    execFileSync(serverBinary, ['verify', folder], { encoding: 'utf8' });
  }

  token(session, identity, grants = 'publish,subscribe,record', validSeconds = 3600) {
    return execFileSync(serverBinary, ['token', '--key', this.key, '--session', session, '--identity', identity,
      '--grants', grants, '--valid-seconds', String(validSeconds)], { encoding: 'utf8' }).trim();
  }

  link(session, token, query = '') {
    return `${this.url}/s/${session}${query}#token=${token}`;
  }

  async stop() {
    await stop(this.child, 'SIGTERM');
    const evidence = process.env.AMPHI_EVIDENCE;
    if (evidence !== undefined) cpSync(this.folder, join(evidence, 'server'), { recursive: true });
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A participant on the native SDK. */
export class SdkPeer {
  constructor(server, session, identity, codec) {
    this.events = [];
    this.errors = '';
    this.child = spawn(peerBinary, ['--url', `${server.url}/s/${session}`, '--token', server.token(session, identity), '--codec', codec],
      { stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stdin.on('error', () => undefined);
    this.child.on('error', (error) => { this.errors += String(error); });
    this.child.stderr.on('data', (text) => { this.errors += text; });
    let rest = '';
    this.child.stdout.on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      this.events.push(...lines.map((line) => JSON.parse(line)));
    });
  }

  tell(command) {
    this.child.stdin.write(`${command}\n`);
  }

  /** The first event that fits, from the event number `from` on. */
  see(what, fits, from = 0) {
    const last = () => JSON.stringify(this.events.slice(-6));
    return until(`the SDK: ${what}`, () => this.events.slice(from).find(fits)).catch((error) => {
      throw new Error(`${error.message}; it said last ${last()} ${this.errors}`);
    });
  }

  async stop() {
    this.child.stdin.end('leave\n');
    await stop(this.child, 0);
  }
}

/** A publisher on Pion (tests/interop/pion), which sends an H.264 file of its own making with any `fmtp`. */
export class PionPublisher {
  constructor(server, session, identity, { fmtp, x264 = [], singleNal = false }) {
    const file = join(server.folder, `${identity}.h264`);
    execFileSync('ffmpeg', ['-v', 'error', '-y', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=30:duration=4', '-pix_fmt', 'yuv420p', '-c:v', 'libx264',
      '-preset', 'veryfast', '-tune', 'zerolatency', ...x264, '-f', 'h264', file]);
    this.errors = '';
    this.child = spawn(join(binaries, 'amphi-pion'), ['publish', '--server', server.url, '--session', session, '--token', server.token(session, identity),
      '--h264', file, '--fmtp', fmtp, ...(singleNal ? ['--single-nal'] : [])], { stdio: ['pipe', 'ignore', 'pipe'] });
    this.child.stdin.on('error', () => undefined);
    this.child.on('error', (error) => { this.errors += String(error); });
    this.child.stderr.on('data', (text) => { this.errors += text; });
  }

  async stop() {
    this.child.stdin.end();
    await stop(this.child, 0);
  }
}

/** Stands between browsers and the server's media port; while `stuck`, STUN passes and DTLS does not. */
export class MediaRelay {
  static async start(serverPort) {
    const relay = new MediaRelay();
    relay.stuck = true;
    relay.ways = new Map();
    relay.socket = createSocket('udp4');
    const passes = ([first]) => !(relay.stuck && first >= 20 && first < 64);  // RFC 7983
    relay.socket.on('message', (data, from) => {
      const name = `${from.address}:${from.port}`;
      if (!relay.ways.has(name)) {
        const way = createSocket('udp4');
        way.on('message', (answer) => { if (passes(answer)) relay.socket.send(answer, from.port, from.address); });
        relay.ways.set(name, way);
      }
      if (passes(data)) relay.ways.get(name).send(data, serverPort, '127.0.0.1');
    });
    await new Promise((done) => relay.socket.bind(0, '127.0.0.1', done));
    relay.port = relay.socket.address().port;
    return relay;
  }

  stop() {
    for (const socket of [this.socket, ...this.ways.values()]) socket.close();
  }
}
