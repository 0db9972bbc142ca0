// A page that sleeps, and one that stays awake and records.
import assert from 'node:assert/strict';
import { SessionPage, SuspendableBrowser } from './chromium.mjs';

const query = '?publish=camera,microphone&codec=vp8';

/** A page whose browser is suspended for longer than a participant is waited for, while the other stories run. */
export class Nap {
  static async begin(server, browser) {
    const taken = new Nap();
    taken.sleeper = await SuspendableBrowser.launch();
    taken.awake = await SessionPage.open(browser, server.link('nap', server.token('nap', 'Awake'), query));
    taken.asleep = await SessionPage.open(taken.sleeper.browser, server.link('nap', server.token('nap', 'Asleep'), query));
    await Promise.all([taken.awake.seesVideoOf('Asleep'), taken.asleep.seesVideoOf('Awake')]);
    await taken.awake.find('record-toggle').click();
    await taken.asleep.see('record-state', /^Recording$/);
    taken.sleeper.suspend();
    taken.since = performance.now();
    return taken;
  }
  async wake() {
    await new Promise((done) => setTimeout(done, Math.max(0, 45_000 - (performance.now() - this.since))));
    assert.equal(await this.awake.page.locator('[data-identity=Asleep]').count(), 0, 'it is held for 30 s');
    this.sleeper.wake();
  }
  async close() {
    await this.awake.close();
    await this.sleeper.close();
  }
}
