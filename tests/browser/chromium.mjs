// Debian's Chromium on the session page, with its fake camera and microphone, and what a test asks of a page.
import { createRequire } from 'node:module';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './processes.mjs';

const { chromium } = createRequire(new URL('../../web/package.json', import.meta.url))('playwright-core');

const options = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--use-fake-device-for-media-stream=fps=30', '--use-fake-ui-for-media-stream',
    '--autoplay-policy=no-user-gesture-required', '--allow-loopback-in-peer-connection', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
};

export const launch = () => chromium.launch(options);

function descendants(pid) {
  const parents = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((name) => {
    try {
      return { pid: Number(name), parent: Number(readFileSync(`/proc/${name}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')[1]) };
    } catch {
      return { pid: 0, parent: -1 }; // it ended meanwhile
    }
  });
  const below = (of) => parents.filter(({ parent }) => parent === of).flatMap((child) => [child.pid, ...below(child.pid)]);
  return [pid, ...below(pid)];
}

/** A browser of its own, whose processes can be stopped and continued together, as a closed lid does. */
export class SuspendableBrowser {
  static async launch() {
    const suspendable = new SuspendableBrowser();
    suspendable.server = await chromium.launchServer(options);
    suspendable.browser = await chromium.connect(suspendable.server.wsEndpoint());
    return suspendable;
  }
  suspend() {
    this.stopped = descendants(this.server.process().pid);
    for (const pid of this.stopped) process.kill(pid, 'SIGSTOP');
  }
  wake() {
    for (const pid of this.stopped ?? []) process.kill(pid, 'SIGCONT');
    this.stopped = undefined;
  }
  async close() {
    this.wake();
    await this.server.kill();
  }
}

export class SessionPage {
  static async open(browser, link, prepare = async () => undefined) {
    const view = new SessionPage();
    view.console = [];
    view.context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    view.page = await view.context.newPage();
    view.page.on('console', (message) => view.console.push(`${message.type()}: ${message.text()}`));
    view.page.on('pageerror', (error) => view.console.push(`uncaught: ${error.message}`));
    await prepare(view.page);
    await view.page.goto(link);
    return view;
  }

  find(testId) { return this.page.getByTestId(testId); }
  text(testId) { return this.find(testId).innerText(); }
  async see(testId, pattern, limitMs) {
    let last = '';
    await until(`"${testId}" matches ${pattern}`, async () => pattern.test(last = await this.text(testId).catch(() => '')), limitMs)
      .catch((error) => { throw new Error(`${error.message}; it reads "${last}"`); });
  }
  uncaught() { return this.console.filter((line) => line.startsWith('uncaught')); }

  /** Pictures of this person's feed arrive, have a size, and go on arriving. */
  async seesVideoOf(identity) {
    const tile = this.page.locator(`[data-testid=feed-tile][data-kind=video][data-identity="${identity}"] video`);
    const look = () => tile.first().evaluate((video) => ({ width: video.videoWidth, frames: video.getVideoPlaybackQuality().totalVideoFrames }),
      undefined, { timeout: 1_000 }).catch(() => ({ width: 0, frames: 0 }));
    const first = await until(`pictures of ${identity}`, async () => { const seen = await look(); return seen.width > 0 && seen.frames > 0 && seen; });
    await until(`pictures of ${identity} go on`, async () => (await look()).frames > first.frames + 20);
    return first.width;
  }

  /** Sound that is no silence arrives in this person's feed. The page may replace the feed's tile meanwhile. */
  async hears(identity) {
    const tile = this.page.locator(`[data-testid=feed-tile][data-kind=audio][data-identity="${identity}"] audio`);
    const listen = () => tile.first().evaluate(async (audio) => {
      if (!audio.srcObject) return 0;
      const context = new AudioContext();
      const analyser = context.createAnalyser();
      context.createMediaStreamSource(audio.srcObject).connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      let peak = 0;
      for (let i = 0; i < 50 && peak < 0.02; i += 1) {
        await new Promise((done) => setTimeout(done, 40));
        analyser.getFloatTimeDomainData(samples);
        for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
      }
      await context.close();
      return peak;
    }, undefined, { timeout: 1_000 }).catch(() => 0);
    await until(`sound of ${identity}`, async () => (await listen()) >= 0.02);
  }

  /** Plays every track of the newest recording; gives what each is. */
  async playsRecording() {
    const recording = this.find('recording').first();
    await recording.waitFor();
    if (!await recording.locator('details').evaluate((details) => details.open)) await recording.locator('summary').click();
    await until('the newest recording has players', async () => (await recording.locator('[data-testid=recorded-track]').locator('video, audio').count()) > 0);
    return recording.locator('[data-testid=recorded-track]').evaluateAll((tracks) => Promise.all(tracks.map(async (track) => {
      const player = track.querySelector('video, audio');
      player.muted = true;
      player.preload = 'auto';
      await player.play().catch(() => undefined);
      for (let i = 0; i < 200 && player.currentTime < 0.5 && !player.error; i += 1) await new Promise((done) => setTimeout(done, 50));
      const { currentTime, duration } = player;
      let error = player.error?.message ?? '';
      if (error) {  // says what the server serves instead
        const answer = await fetch(player.currentSrc);
        const bytes = new Uint8Array(await answer.arrayBuffer());
        error += `; ${answer.status} ${answer.headers.get('content-type')}, ${bytes.length} bytes: ${[...bytes.slice(0, 600)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
      }
      player.pause();
      return { kind: track.dataset.kind, codec: track.dataset.codec, identity: track.dataset.identity, currentTime, durationMs: duration * 1000,
        offsetMs: Number(track.dataset.offsetMs), width: player.videoWidth ?? 0, error };
    })));
  }

  async keepEvidence(name) {
    const folder = process.env.AMPHI_EVIDENCE;
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name.replace(/\W+/g, '-')}.png`), fullPage: true }).catch(() => undefined);
  }

  close() { return this.context.close(); }
}

/** Stands between the page and one of its WebSockets: `cut()` breaks it, `refuse` keeps it from coming back. */
export async function interpose(page, pattern) {
  const wire = { refuse: false, opened: 0, cut: () => undefined };
  await page.routeWebSocket(pattern, (socket) => {
    if (wire.refuse) {
      void socket.close({ code: 4000, reason: 'refused by the test' });
      return;
    }
    wire.opened += 1;
    const server = socket.connectToServer();
    wire.cut = () => {
      void server.close({ code: 4001, reason: 'cut by the test' });
      void socket.close({ code: 4001, reason: 'cut by the test' });
    };
  });
  return wire;
}
