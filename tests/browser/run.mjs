// A real browser on the session page, against the real server and the native SDK. Run: node tests/browser/run.mjs
//   AMPHI_SERVER   the server's binary          AMPHI_SAMPLES   the folder of the SDK's test peer
//   AMPHI_WEB      the built page               AMPHI_EVIDENCE  where to leave screenshots and recordings
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SessionPage, interpose, launch } from './chromium.mjs';
import { Nap } from './nap.mjs';
import { MediaRelay, PionPublisher, SdkPeer, Server, until } from './processes.mjs';

let server, browser, nap;
let sessions = 0;
const newSession = () => `browser-${(sessions += 1)}`;

before(async () => {
  server = await Server.start();
  browser = await launch();
  nap = await Nap.begin(server, browser);
});
after(async () => {
  await nap?.close();
  await browser?.close();
  await server?.stop();
});

/** A test that tidies up what it opened, and shows what everybody said when it fails. */
function story(name, body, options = {}) {
  test(name, { timeout: 90_000, ...options }, async (context) => {
    const opened = [];
    const open = async (session, identity, { query = '', grants, prepare } = {}) => {
      const page = await SessionPage.open(browser, server.link(session, server.token(session, identity, grants), query), prepare);
      opened.push(page);
      return page;
    };
    const addPeer = (session, identity, codec) => {
      const peer = new SdkPeer(server, session, identity, codec);
      opened.push(peer);
      return peer;
    };
    const addPion = (session, identity, video) => void opened.push(new PionPublisher(server, session, identity, video));
    try {
      await body({ open, addPeer, addPion });
      for (const page of opened.filter((item) => item instanceof SessionPage)) assert.deepEqual(page.uncaught(), []);
    } catch (error) {
      for (const item of opened) context.diagnostic(item instanceof SessionPage ? item.console.slice(-12).join('\n') : item.errors.slice(-2_000));
      context.diagnostic(`server: ${server.log.slice(-3_000)}`);
      throw error;
    } finally {
      for (const [index, item] of opened.entries()) {
        if (item instanceof SessionPage) await item.keepEvidence(`${name}-${index}`);
      }
      await Promise.all(opened.map((item) => (item instanceof SessionPage ? item.close() : item.stop())));
    }
  });
}

const publishing = (codec) => `?publish=camera,microphone&codec=${codec}`;

for (const codec of ['vp8', 'h264']) {
  story(`two pages see and hear each other (${codec})`, async ({ open }) => {
    const session = newSession();
    const ada = await open(session, 'Ada', { query: publishing(codec) });
    const bo = await open(session, 'Bo', { query: publishing(codec) });
    await Promise.all([ada.seesVideoOf('Bo'), bo.seesVideoOf('Ada'), ada.hears('Bo'), bo.hears('Ada')]);
    await ada.find('leave').click();
    await ada.see('session-state', /Ended/);
    await until('Ada\'s feeds are gone from Bo\'s page', async () => (await bo.find('feed-tile').count()) === 0);
  });

  story(`the page and the SDK receive each other, and record together (${codec})`, async ({ open, addPeer }) => {
    const session = newSession();
    const page = await open(session, 'Ada', { query: publishing(codec) });
    const peer = addPeer(session, 'Native', codec);
    await page.see('services-state', /^Services connected$/);
    await peer.see('services are connected', ({ event }) => event === 'services');
    assert.equal(await page.seesVideoOf('Native'), 640);
    await page.hears('Native');
    const camera = await peer.see('pictures from Chromium', (said) => said.event === 'video' && said.identity === 'Ada' && said.frames > 30);
    assert.equal(camera.codec.toLowerCase(), codec);
    assert.ok(camera.width > 0 && camera.height > 0, JSON.stringify(camera));
    await peer.see('sound from Chromium', (said) => said.event === 'audio' && said.loudest > 600);

    await page.find('record-toggle').click();
    await page.see('record-state', /^Recording$/);
    await peer.see('the recording that a click started', (said) => said.event === 'recording' && said.on && said.changedBy === 'Ada');
    await page.see('record-changed-by', /Started by Ada/);
    await page.see('record-duration', /00:00:04/);
    await page.find('recordings-refresh').click();
    await page.see('recording', /recording · 4 tracks/);
    assert.equal(await page.find('recording').locator('video, audio').count(), 0, 'files that grow have no player');

    const heard = peer.events.length;
    peer.tell('record off');
    await page.see('record-state', /^Off$/);
    await peer.see('the stop it asked for', (said) => said.event === 'recording' && !said.on && !said.updatePending, heard);
    await page.see('record-changed-by', /Last changed by Native/);
    const shown = await page.text('record-duration');
    const shownMs = Number(shown.slice(6)) * 1000 + Number(shown.slice(3, 5)) * 60_000;

    const tracks = await page.playsRecording();
    assert.deepEqual(tracks.map(({ identity, kind }) => `${identity} ${kind}`).sort(), ['Ada audio', 'Ada video', 'Native audio', 'Native video']);
    for (const track of tracks) {
      assert.equal(track.error, '', JSON.stringify(track));
      assert.ok(track.currentTime >= 0.5, `it does not play: ${JSON.stringify(track)}`);
      assert.ok(Math.abs(track.offsetMs + track.durationMs - shownMs) < 500, `the page said ${shownMs} ms: ${JSON.stringify(track)}`);
      if (track.kind === 'video') assert.ok(track.width > 0 && track.codec.toLowerCase() === codec, JSON.stringify(track));
    }
  });
}

/** A browser without H.264, as Firefox is without its plug-in: the codec in the server's offers is unknown to it. */
const withoutH264 = (view) => view.addInitScript(() => {
  const original = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function setRemoteDescription(description) {
    if (description.type !== 'offer') return original.call(this, description);
    return original.call(this, { type: 'offer', sdp: description.sdp.replaceAll('H264/90000', 'H265x/90000') });
  };
});

story('a page that cannot decode a feed says so, and shows everything else', async ({ open }) => {
  const session = newSession();
  const ada = await open(session, 'Ada', { query: publishing('h264') });
  const bo = await open(session, 'Bo', { query: publishing('vp8'), prepare: withoutH264 });
  await until('Bo is told', async () => (await bo.find('feed-tile').allInnerTexts()).some((text) => /This browser cannot decode H264\. \(.*profile-level-id/.test(text)));
  await Promise.all([bo.hears('Ada'), ada.seesVideoOf('Bo')]);
  const cy = await open(session, 'Cy', { query: publishing('vp8') });
  await Promise.all([bo.seesVideoOf('Cy'), cy.seesVideoOf('Ada')]);
  await ada.find('leave').click();
  await until('Ada\'s tiles are gone', async () => (await bo.find('feed-tile').allInnerTexts()).every((text) => !text.includes('Ada')));
  await bo.seesVideoOf('Cy');
});

story('a page records by itself: the clock counts, and the recording is listed and plays', async ({ open }) => {
  const page = await open(newSession(), 'Ada', { query: publishing('vp8') });
  await page.see('record-state', /^Off$/);
  await page.find('record-toggle').click();
  await page.see('record-state', /^Recording$/);
  await page.see('record-duration', /00:00:03/);
  await page.find('record-toggle').click();
  await page.see('record-state', /^Off$/);
  const still = await page.text('record-duration');
  const tracks = await page.playsRecording();
  assert.deepEqual(tracks.map(({ kind }) => kind).sort(), ['audio', 'video']);
  for (const track of tracks) assert.ok(track.currentTime >= 0.5, JSON.stringify(track));
  assert.equal(await page.text('record-duration'), still, 'a stopped clock stands');
});

story('lost services leave the state unknown and the media running, and come back by themselves', async ({ open }) => {
  const session = newSession();
  let wire;
  const page = await open(session, 'Ada', { query: publishing('vp8'), prepare: async (view) => { wire = await interpose(view, /\/services$/); } });
  const other = await open(session, 'Bo', { query: publishing('vp8') });
  await page.seesVideoOf('Bo');
  await page.see('record-state', /^Off$/);
  wire.refuse = true;
  wire.cut();
  await page.see('services-state', /not connected/);
  await page.see('record-state', /State unknown since \d\d:\d\d:\d\d\. It was off\./);
  assert.equal(await page.find('record-toggle').getAttribute('aria-disabled'), 'true');
  await other.find('record-toggle').click();
  await other.see('record-state', /^Recording$/);
  await Promise.all([page.seesVideoOf('Bo'), other.seesVideoOf('Ada')]);
  assert.equal(await page.text('session-state'), 'Joined');
  wire.refuse = false;
  await page.see('record-state', /^Recording$/);
  await page.see('record-changed-by', /Started by Bo/);
});

story('a lost signalling connection is resumed, and nobody\'s pictures stop', async ({ open }) => {
  const session = newSession();
  let wire;
  const page = await open(session, 'Ada', { query: publishing('vp8'), prepare: async (view) => { wire = await interpose(view, /\/signalling$/); } });
  const other = await open(session, 'Bo', { query: publishing('vp8') });
  await Promise.all([page.seesVideoOf('Bo'), other.seesVideoOf('Ada')]);
  const tile = await page.find('feed-tile').first().elementHandle();
  wire.refuse = true;
  wire.cut();
  await page.see('session-state', /reconnecting/);
  await Promise.all([page.seesVideoOf('Bo'), other.seesVideoOf('Ada')]);
  wire.refuse = false;
  await page.see('session-state', /^Joined$/);
  assert.equal(wire.opened, 2);
  assert.ok(await tile.evaluate((element) => element.isConnected), 'the tile was not replaced');
  await page.find('camera-toggle').click();
  await until('Bo sees that the camera is off', async () => (await other.find('feed-tile').count()) === 1);
  await page.find('camera-toggle').click();
  await other.seesVideoOf('Ada');
});

for (const signal of ['SIGKILL', 'SIGTERM']) {
  story(`after a restart of the server (${signal}) pages and SDK come back by themselves, and it is recorded on`, async ({ open, addPeer }) => {
    const session = newSession();
    const page = await open(session, 'Ada', { query: publishing('vp8') });
    const peer = addPeer(session, 'Native', 'vp8');
    await page.seesVideoOf('Native');
    await page.find('record-toggle').click();
    await page.see('record-state', /^Recording$/);
    await page.see('record-duration', /00:00:03/);
    const heard = peer.events.length;
    await server.restart(signal);
    await page.see('session-state', /^Joined$/, 30_000);
    await page.see('record-state', /^Recording$/, 30_000);
    await peer.see('the recording that goes on', (said) => said.event === 'recording' && said.on && said.changedBy === 'Ada', heard);
    await page.seesVideoOf('Native');
    await peer.see('pictures from Chromium again', (said) => said.event === 'video' && said.identity === 'Ada' && said.frames > 30, peer.events.length);
    await page.see('record-duration', /00:00:0[6-9]/);
    await page.find('record-toggle').click();
    await page.see('record-state', /^Off$/);
    const tracks = await page.playsRecording();
    assert.deepEqual(tracks.map(({ identity, kind }) => `${identity} ${kind}`).sort(), ['Ada audio', 'Ada video', 'Native audio', 'Native video']);
    for (const track of tracks) assert.ok(track.currentTime >= 0.5, `it does not play: ${JSON.stringify(track)}`);
  }, { timeout: 120_000 });
}

story('a camera that is switched off and on again stays on its track', async ({ open }) => {
  const session = newSession();
  const page = await open(session, 'Ada', { query: publishing('vp8') });
  const other = await open(session, 'Bo', { query: '?publish=' });
  await other.seesVideoOf('Ada');
  await page.find('record-toggle').click();
  await page.see('record-state', /^Recording$/);
  await page.see('record-duration', /00:00:02/);
  await page.find('camera-toggle').click();
  await until('Bo sees that the camera is off', async () => (await other.find('feed-tile').count()) === 1);
  await page.find('camera-toggle').click();
  await other.seesVideoOf('Ada');
  await page.find('record-toggle').click();
  await page.see('record-state', /^Off$/);
  const tracks = await page.playsRecording();
  assert.deepEqual(tracks.map(({ kind }) => kind).sort(), ['audio', 'video'], 'one track a feed');
  for (const track of tracks) assert.ok(track.currentTime >= 0.5, `it does not play: ${JSON.stringify(track)}`);
});

story('a native feed that comes and goes is seen each time', async ({ open, addPeer }) => {
  const session = newSession();
  const page = await open(session, 'Ada', { query: '?publish=' });
  const peer = addPeer(session, 'Native', 'vp8');
  await page.seesVideoOf('Native');
  for (let time = 0; time < 5; time += 1) {
    peer.tell('picture off');
    await until('the picture has gone from the page', async () => (await page.find('feed-tile').count()) === 1);
    peer.tell('picture on');
    await page.seesVideoOf('Native');
    await page.hears('Native');
  }
});

test('a pre-roll is announced and begins the recording, and a marker is seen by everybody', { timeout: 90_000 }, async () => {
  const keeping = await Server.start(['--recording-pre-roll-seconds', '3']);
  const open = (identity, query) => SessionPage.open(browser, keeping.link('kept', keeping.token('kept', identity), query));
  const page = await open('Ada', publishing('vp8'));
  const other = await open('Bo', '?publish=');
  try {
    for (const each of [page, other]) await each.see('record-pre-roll', /The last 3 s are kept/);
    await other.seesVideoOf('Ada');
    await other.hears('Ada');
    await page.find('record-toggle').click();
    for (const each of [page, other]) await each.see('record-state', /^Recording$/);
    await page.find('marker-label').fill('First incision');
    await page.find('marker-add').click();
    for (const each of [page, other]) await each.see('markers', /^\s*\d\d:\d\d:\d\d\.\d\s+First incision \(Ada\)\s*$/);
    assert.equal(await page.find('marker-label').inputValue(), '', 'ready for the next');
    await page.find('record-toggle').click();
    await page.see('record-state', /^Off$/);
    assert.equal(await page.find('marker-add').isVisible(), false, 'nothing can be marked');
    await page.find('record-toggle').click();
    await page.see('record-state', /^Recording$/);
    await page.find('marker-label').fill('Another recording');
    await page.find('marker-add').click();
    for (const each of [page, other]) await each.see('markers', /^\s*[\d:.]+\s+Another recording \(Ada\)\s*$/);
    await page.find('record-toggle').click();
    await page.see('record-state', /^Off$/);
    const [, recording] = await keeping.recordings('kept');
    assert.ok(recording.preRollMs >= 500 && recording.preRollMs <= 3000, `it begins ${recording.preRollMs} ms before it was asked for`);
    assert.deepEqual(recording.markers.map(({ label, by }) => [label, by]), [['First incision', 'Ada']]);
    assert.ok(recording.markers[0].atMs >= recording.preRollMs, 'the time line begins with the pre-roll');
    for (const each of [page, other]) assert.deepEqual(each.uncaught(), []);
  } finally {
    await Promise.all([page.close(), other.close()]);
    await keeping.stop();
  }
});

story('without the record grant the button says why it does nothing', async ({ open }) => {
  const page = await open(newSession(), 'Guest', { query: '?publish=', grants: 'subscribe' });
  await page.see('services-state', /^Services connected$/);
  await page.see('record-state', /^Off$/);
  assert.equal(await page.find('record-toggle').getAttribute('aria-disabled'), 'true');
  assert.match(await page.page.locator('#record-why').innerText(), /does not allow you to record/);
  assert.equal(await page.find('camera-toggle').isVisible(), false);
  assert.match(await page.page.getByLabel('Recordings', { exact: true }).innerText(), /does not grant reading recordings/);
});

/** Counts how often the page asks for a device. */
const countDevices = (view) => view.addInitScript(() => {
  window.asked = 0;
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (...wanted) => { window.asked += 1; return real(...wanted); };
});

test('a link alone switches on no device: sharing takes a click where the server does not allow otherwise', { timeout: 90_000 }, async () => {
  const strict = await Server.start([], { autopublish: false });
  const forged = '?publish=camera,microphone&allowAutopublish=true&allow-autopublish=1&autopublish=true&codec=vp8';
  const token = strict.token('strict', 'Ada');
  const page = await SessionPage.open(browser, `${strict.link('strict', token, forged)}&allowAutopublish=true`, countDevices);
  const other = await SessionPage.open(browser, strict.link('strict', strict.token('strict', 'Bo'), '?publish='));
  try {
    for (const each of [page, other]) await each.see('session-state', /^Joined$/);
    await page.see('share', /^Share camera and microphone$/);
    assert.equal(await other.find('share').isVisible(), false, 'a link that proposes nothing has no such button');
    await page.see('services-state', /^Services connected$/);
    await page.page.waitForTimeout(1_000);
    assert.equal(await page.page.evaluate(() => window.asked), 0, 'no device was asked for');
    assert.equal(await page.find('own-tile').count(), 0);
    assert.equal(await other.find('feed-tile').count(), 0);
    await page.find('share').click();
    await other.seesVideoOf('Ada');
    await other.hears('Ada');
    assert.equal(await page.find('share').isVisible(), false, 'everything that the link proposes is shared');
    await page.find('camera-toggle').click();
    await page.see('share', /^Share camera$/);
    await page.page.reload();
    await page.see('share', /^Share camera and microphone$/);
    assert.equal(await page.page.evaluate(() => window.asked), 0, 'a reload is no click');
    for (const each of [page, other]) assert.deepEqual(each.uncaught(), []);
  } finally {
    await Promise.all([page.close(), other.close()]);
    await strict.stop();
  }
});

story('a page that was away for longer than the server waits joins anew by itself', async ({ open }) => {
  const session = newSession();
  let wire;
  const page = await open(session, 'Ada', { query: publishing('vp8'), prepare: async (view) => { wire = await interpose(view, /\/signalling$/); } });
  const other = await open(session, 'Bo', { query: publishing('vp8') });
  await Promise.all([page.seesVideoOf('Bo'), other.seesVideoOf('Ada')]);
  wire.refuse = true;
  wire.cut();
  await page.see('session-state', /reconnecting/);
  await page.see('trouble', /tries again by itself/);
  await until('Ada has left for Bo', async () => (await other.page.locator('[data-identity="Ada"]').count()) === 0, 60_000);
  assert.match(await page.text('session-state'), /reconnecting/, 'it does not end');
  wire.refuse = false;
  await page.see('session-state', /^Joined$/, 20_000);
  await Promise.all([page.seesVideoOf('Bo'), other.seesVideoOf('Ada'), other.hears('Ada')]);
  await page.see('services-state', /^Services connected$/);
  assert.equal(await page.find('trouble').isVisible(), false);
  assert.equal(await page.find('ended').isVisible(), false);
}, { timeout: 150_000 });

story('media that cannot get through is told with the likely cause, tried further, and told as well again', async ({ open }) => {
  const session = newSession();
  const misdirect = (view) => view.addInitScript(() => {  // every candidate of the server leads to a port where nothing listens
    window.blocked = true;
    const real = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function set(description) {
      const sdp = window.blocked ? description.sdp.replace(/^(a=candidate:\S+ 1 udp \d+ \S+) \d+ /gim, '$1 9 ') : description.sdp;
      return real.call(this, { type: description.type, sdp });
    };
  });
  const page = await open(session, 'Ada', { query: publishing('vp8'), prepare: misdirect });
  const other = await open(session, 'Bo', { query: publishing('vp8') });
  await page.see('session-state', /^Joined$/);
  await page.see('trouble', /The media port UDP 9 at \S+ may be blocked by a firewall or NAT/, 20_000);
  await page.page.evaluate(() => { window.blocked = false; });
  await until('the trouble is over', async () => !(await page.find('trouble').isVisible()), 40_000);
  await Promise.all([page.seesVideoOf('Bo'), other.seesVideoOf('Ada')]);
}, { timeout: 120_000 });

test('an encrypted connection that does not come about on a working path is told, tried anew, and comes about later', { timeout: 120_000 }, async () => {
  const guarded = await Server.start(['--workers', '1']);
  const relay = await MediaRelay.start(Number(/media at 127\.0\.0\.1:(\d+)/.exec(guarded.log)?.[1]));
  const throughRelay = (view) => view.addInitScript((port) => {
    const real = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function set({ type, sdp }) {
      return real.call(this, { type, sdp: sdp.replace(/^(a=candidate:\S+ 1 udp \d+) \S+ \d+ /gim, `$1 127.0.0.1 ${port} `) });
    };
  }, relay.port);
  const page = await SessionPage.open(browser, guarded.link('stuck', guarded.token('stuck', 'Ada'), publishing('vp8')), throughRelay);
  const other = await SessionPage.open(browser, guarded.link('stuck', guarded.token('stuck', 'Bo'), publishing('vp8')));
  try {
    await page.see('trouble', /network path works.*DTLS/, 25_000);
    relay.stuck = false;
    await until('the trouble is over', async () => !(await page.find('trouble').isVisible()), 40_000);
    await Promise.all([page.seesVideoOf('Bo'), other.seesVideoOf('Ada')]);
    for (const each of [page, other]) assert.deepEqual(each.uncaught(), []);
  } finally {
    await Promise.all([page.close(), other.close()]);
    relay.stop();
    await guarded.stop();
  }
});

story('a page that meets another certificate than the announced one says so and sends no media', async ({ open }) => {
  const session = newSession();
  const falsify = (view) => view.addInitScript(() => {
    const real = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function set({ type, sdp }) {
      return real.call(this, { type, sdp: sdp.replace(/(a=fingerprint:sha-256 )(..)/g, (_, name, first) => name + (first === '00' ? '11' : '00')) });
    };
  });
  const other = await open(session, 'Bo', { query: '?publish=' });
  const page = await open(session, 'Ada', { query: publishing('vp8'), prepare: falsify });
  await page.see('trouble', /certificate at the other end may not be the announced one/);
  assert.equal(await other.page.locator('video').evaluateAll((videos) => videos.filter(({ videoWidth }) => videoWidth > 0).length), 0);
});

for (const { what, ...video } of [
  { what: 'High profile', fmtp: 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f', x264: ['-profile:v', 'high', '-x264-params', 'keyint=30:aud=1:8x8dct=1'] },
  { what: 'packetization mode 0', fmtp: 'packetization-mode=0;profile-level-id=42e01f', singleNal: true,
    x264: ['-profile:v', 'baseline', '-x264-params', 'keyint=30:aud=1:slice-max-size=1000'] },
]) {
  story(`a page decodes H.264 of ${what} from another stack`, async ({ open, addPion }) => {
    const session = newSession();
    addPion(session, 'Encoder', video);
    const page = await open(session, 'Ada', { query: '?publish=' });
    await page.seesVideoOf('Encoder');
  });
}

test('links that cannot work say so', { timeout: 60_000 }, async () => {
  const page = await SessionPage.open(browser, `${server.url}/s/somewhere`);
  await page.see('no-session', /no access token/);
  await page.page.goto('about:blank');
  await page.page.goto(server.link('somewhere', server.token('elsewhere', 'Ada'), '?publish='));
  await page.see('ended', /link/i);
  assert.deepEqual(page.uncaught(), []);
  await page.close();
});

story('a page whose browser was asleep for longer than the server waits is seen and sees again, with the recording\'s state', async () => {
  await nap.wake();
  const { awake, asleep } = nap;
  await Promise.all([awake.seesVideoOf('Asleep'), asleep.seesVideoOf('Awake'), awake.hears('Asleep'), asleep.hears('Awake')]);
  await asleep.see('session-state', /^Joined$/);
  await asleep.see('services-state', /^Services connected$/);
  await asleep.see('record-state', /^Recording$/);
  await awake.find('record-toggle').click();
  await Promise.all([awake.see('record-state', /^Off$/), asleep.see('record-state', /^Off$/)]);
  await until('both show the confirmed total', async () => (await awake.text('record-duration')) === (await asleep.text('record-duration')));
  assert.deepEqual([...awake.uncaught(), ...asleep.uncaught()], []);
});

story('a page that is closed while it connects or joins leaves nobody behind', async ({ open }) => {
  const session = newSession();
  const watcher = await open(session, 'Watcher');
  await watcher.find('join').click();
  await watcher.see('session-state', /^Joined$/);
  for (let i = 0; i < 12; i += 1) {
    const hasty = await browser.newContext();
    const page = await hasty.newPage();
    const going = page.goto(server.link(session, server.token(session, 'Hasty'), publishing('vp8')), { waitUntil: 'commit' }).catch(() => undefined);
    await new Promise((done) => setTimeout(done, 40 + i * 40));
    await page.close();
    await going;
    await hasty.close();
  }
  await until('nobody is left', async () => !(await watcher.text('participants')).includes('Hasty'), 5_000);
});
