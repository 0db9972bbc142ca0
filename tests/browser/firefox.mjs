// Debian's Firefox ESR on the session page, driven over WebDriver BiDi. Run: node tests/browser/firefox.mjs (environment: see run.mjs).
// Firefox sends no media to 127.0.0.1. The tests therefore run in a network namespace of their own, with the server's media on a veth address.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SdkPeer, Server, until } from './processes.mjs';

const mediaAddress = '10.98.0.1';
const inNamespace = process.env.AMPHI_FIREFOX_NAMESPACE !== undefined;

/** Runs this script once more in a namespace with an interface, and gives its exit status. */
function runInNamespace() {
  const asRoot = process.getuid() === 0 ? [] : ['--map-root-user'];
  const prepare = 'ip link set lo up && ip link add amphi0 type veth peer name amphi1 && '
    + `ip addr add ${mediaAddress}/24 dev amphi0 && ip link set amphi0 up && ip link set amphi1 up && ip route add default dev amphi0 && exec "$@"`;
  const { status } = spawnSync('unshare', [...asRoot, '--net', 'sh', '-c', prepare, 'sh', process.execPath, fileURLToPath(import.meta.url)],
    { stdio: 'inherit', env: { ...process.env, AMPHI_FIREFOX_NAMESPACE: '1' } });
  return status ?? 1;
}

if (!inNamespace) process.exit(runInNamespace());

const puppeteer = createRequire(new URL('../../web/package.json', import.meta.url))('puppeteer-core');
let server, browser;
let sessions = 0;

before(async () => {
  server = await Server.start(['--media-address', mediaAddress]);
  browser = await puppeteer.launch({
    browser: 'firefox', executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr', headless: true,
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true, 'media.autoplay.default': 0,
      'media.autoplay.blocking_policy': 0, 'media.peerconnection.ice.obfuscate_host_addresses': false,
      'media.gmp-manager.updateEnabled': false, 'media.gmp-gmpopenh264.enabled': false,
    },
  });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

class FirefoxPage {
  static async open(link) {
    const view = new FirefoxPage();
    view.uncaught = [];
    view.page = await browser.newPage();
    view.page.on('pageerror', (error) => view.uncaught.push(error.message));
    await view.page.evaluateOnNewDocument(() => {  // the page keeps its connections to itself; the test asks them for statistics
      window.connections = [];
      window.RTCPeerConnection = class extends window.RTCPeerConnection {
        constructor(...given) {
          super(...given);
          window.connections.push(this);
        }
      };
    });
    await view.page.goto(link);
    return view;
  }

  text(testId) { return this.page.$eval(`[data-testid=${testId}]`, (element) => element.innerText).catch(() => ''); }
  async see(testId, pattern, limitMs) {
    let last = '';
    await until(`"${testId}" matches ${pattern}`, async () => pattern.test(last = await this.text(testId)), limitMs)
      .catch((error) => { throw new Error(`${error.message}; it reads "${last}"`); });
  }
  click(testId) { return this.page.click(`[data-testid=${testId}]`); }
  tiles(identity) {
    return this.page.$$eval(`[data-testid=feed-tile][data-identity="${identity}"]`,
      (tiles) => tiles.map((tile) => ({ kind: tile.dataset.kind, text: tile.innerText, media: tile.querySelector('video, audio') !== null })));
  }

  /** What has been decoded for the element of this identity's tile, and how far the element plays. */
  received(identity, kind) {
    return this.page.$eval(`[data-testid=feed-tile][data-kind=${kind}][data-identity="${identity}"] ${kind}`, async (element) => {
      const [track] = element.srcObject.getTracks();
      const receiver = window.connections.flatMap((each) => each.getReceivers()).find((each) => each.track === track);
      const inbound = [...(await receiver.getStats()).values()].find(({ type }) => type === 'inbound-rtp') ?? {};
      return { frames: inbound.framesDecoded ?? 0, energy: inbound.totalAudioEnergy ?? 0, width: element.videoWidth ?? 0, played: element.currentTime };
    }).catch((error) => ({ frames: 0, energy: 0, width: 0, played: 0, error: error.message }));
  }

  /** Frames of this identity's video arrive, are decoded and played, and go on arriving. */
  async seesVideoOf(identity) {
    const look = () => this.received(identity, 'video');
    let seen;
    const first = await until(`frames of ${identity}`, async () => { seen = await look(); return seen.frames > 0 && seen.width > 0 && seen; })
      .catch((error) => { throw new Error(`${error.message}; last: ${JSON.stringify(seen)}`); });
    await until(`frames of ${identity} go on`, async () => {
      const seen = await look();
      return seen.frames > first.frames + 20 && seen.played > first.played;
    });
  }

  /** Sound other than silence arrives from this identity, and is played. */
  async hears(identity) {
    await until(`sound of ${identity}`, async () => {
      const heard = await this.received(identity, 'audio');
      return heard.energy > 0.01 && heard.played > 0;
    });
  }

  async keepEvidence(name) {
    const folder = process.env.AMPHI_EVIDENCE;
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `firefox-${name.replace(/\W+/g, '-')}.png`), fullPage: true }).catch(() => undefined);
  }
}

function story(name, body) {
  test(name, { timeout: 120_000 }, async (context) => {
    const session = `firefox-${(sessions += 1)}`;
    const pages = [];
    const peers = [];
    const open = async (identity, query) => {
      const page = await FirefoxPage.open(server.link(session, server.token(session, identity), query));
      pages.push(page);
      return page;
    };
    const addPeer = (identity, codec) => {
      const peer = new SdkPeer(server, session, identity, codec);
      peers.push(peer);
      return peer;
    };
    try {
      await body({ open, addPeer, session });
      for (const page of pages) assert.deepEqual(page.uncaught, []);
    } catch (error) {
      context.diagnostic(`server: ${server.log.slice(-3_000)}`);
      throw error;
    } finally {
      for (const page of pages) await page.keepEvidence(name);
      await Promise.all([...pages.map(({ page }) => page.close()), ...peers.map((peer) => peer.stop())]);
    }
  });
}

/** Every file decodes to its end, and the recording verifies. */
function checkRecording(session, recording) {
  const folder = join(server.folder, 'recordings', session, recording.recordingId);
  assert.equal(recording.state, 'complete', JSON.stringify(recording));
  server.verify(folder);
  for (const track of recording.tracks) {
    const complaints = execFileSync('ffmpeg', ['-v', 'error', '-xerror', '-i', join(folder, track.path), '-f', 'null', '-'], { encoding: 'utf8' });
    assert.equal(complaints, '');
    assert.ok(track.frames > 60, JSON.stringify(track));
  }
}

story('Firefox and the SDK receive each other, and record together', async ({ open, addPeer, session }) => {
  const page = await open('Ada', '?publish=camera,microphone&codec=vp8');
  const peer = addPeer('Native', 'vp8');
  await page.see('services-state', /^Services connected$/);
  await page.seesVideoOf('Native');
  await page.hears('Native');
  const camera = await peer.see('frames from Firefox', (said) => said.event === 'video' && said.identity === 'Ada' && said.frames > 30);
  assert.equal(camera.codec, 'VP8');
  await peer.see('sound from Firefox', (said) => said.event === 'audio' && said.loudest > 600);
  await page.click('record-toggle');
  await page.see('record-state', /^Recording$/);
  await page.see('record-duration', /00:00:04/);
  await page.click('record-toggle');
  await page.see('record-state', /^Off$/);
  const [recording] = await server.recordings(session);
  assert.deepEqual(recording.tracks.map(({ kind, codec }) => `${kind} ${codec}`).sort(), ['audio opus', 'audio opus', 'video VP8', 'video VP8']);
  checkRecording(session, recording);
});

story('Firefox without H.264 says so for an H.264 feed, and plays everything else', async ({ open, addPeer }) => {
  addPeer('Endoscope', 'h264');
  const page = await open('Ada', '?publish=');
  await until('the tile says so', async () => (await page.tiles('Endoscope')).some(({ kind, text, media }) =>
    kind === 'video' && !media && /This browser cannot decode H264\. \(.*profile-level-id/.test(text)));
  await page.hears('Endoscope');
  addPeer('Camera', 'vp8');
  await page.seesVideoOf('Camera');
  await page.hears('Camera');
  assert.match(await page.text('session-state'), /^Joined$/);
});

story('Firefox without H.264 publishes VP8 where its link asks for H.264', async ({ open, addPeer }) => {
  await open('Ada', '?publish=camera,microphone&codec=h264');
  const peer = addPeer('Native', 'vp8');
  const camera = await peer.see('frames from Firefox', (said) => said.event === 'video' && said.identity === 'Ada' && said.frames > 30);
  assert.equal(camera.codec, 'VP8');
});
