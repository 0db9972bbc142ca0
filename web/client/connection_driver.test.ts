// The driver does what its machine says, in order, and tells it what happened; on a clock and a socket that the test moves.
import { expect, test } from 'vitest';
import { ConnectionDriver } from './connection_driver';
import type { AmphiError } from './errors';
import type { ConnectionMachine, ConnectionOutput } from './machine';
import type { Platform, SocketEvents } from './platform';

type Note = { readonly kind: 'note'; readonly text: string };

class Script implements ConnectionMachine<Note> {
  readonly inputs: string[] = [];
  readonly queue: Array<ConnectionOutput | Note> = [];
  deadline = Infinity;

  connectionOpened(now: number): void { this.inputs.push(`opened at ${now}`); }
  connectionFailed(error: AmphiError): void { this.inputs.push(`failed ${error.code}`); }
  connectionClosed(error: AmphiError | undefined): void { this.inputs.push(`closed ${error?.code ?? 'orderly'}`); }
  handleMessage(text: string): void { this.inputs.push(`message ${text}`); }
  handleTimeout(now: number): void {
    this.inputs.push(`timeout at ${now}`);
    this.deadline = Infinity;
  }
  pollOutput(): ConnectionOutput | Note | undefined { return this.queue.shift(); }
  nextTimeout(): number { return this.deadline; }
}

function makeWorld(openSocket?: Platform['openSocket']) {
  const script = new Script();
  const log: string[] = [];
  const timers = new Set<{ callback: () => void; at: number }>();
  let socket: SocketEvents | undefined;
  let now = 0;
  const platform: Platform = {
    now: () => now, random: () => 0.5, uniqueId: () => 'id', watchNetwork: () => () => undefined,
    makePeerConnection: () => { throw new Error('not here'); },
    openSocket: openSocket ?? ((url, events) => {
      log.push(`open ${url}`);
      socket = events;
      return { send: (text) => log.push(`send ${text}`), close: () => log.push('close') };
    }),
    schedule: (callback, delayMs) => {
      const timer = { callback, at: now + delayMs };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  const driver = new ConnectionDriver<Note>(script, 'ws://h', platform, ({ text }) => {
    log.push(text);
    driver.pump();
  });
  const act = (...outputs: Array<ConnectionOutput | Note>): void => {
    script.queue.push(...outputs);
    driver.pump();
  };
  const moveTo = (time: number): void => {
    now = time;
    for (const timer of [...timers]) if (timer.at <= now && timers.delete(timer)) timer.callback();
  };
  return { script, log, timers, act, moveTo, socket: () => socket! };
}

test('outputs are acted on in order, even when a listener pumps from inside', () => {
  const { log, act } = makeWorld();
  act({ kind: 'openConnection' }, { kind: 'sendText', text: 'a' }, { kind: 'note', text: 'n' }, { kind: 'sendText', text: 'b' },
      { kind: 'closeConnection' }, { kind: 'sendText', text: 'into nothing' });
  expect(log).toEqual(['open ws://h', 'send a', 'n', 'send b', 'close']);
});

test('a socket that opened and ended was closed; one that never opened failed', () => {
  const { script, act, socket } = makeWorld();
  act({ kind: 'openConnection' });
  socket().opened();
  socket().message('text');
  socket().message(new ArrayBuffer(1));
  socket().closed(true);
  act({ kind: 'openConnection' });
  socket().closed(false);
  act({ kind: 'openConnection' });
  socket().opened();
  socket().closed(false);
  expect(script.inputs).toEqual(['opened at 0', 'message text', 'message ', 'closed orderly', 'failed disconnected', 'opened at 0', 'closed disconnected']);
});

test('an address that no socket takes is a failed connection', () => {
  const { script, act } = makeWorld(() => { throw new SyntaxError('bad address'); });
  act({ kind: 'openConnection' });
  expect(script.inputs).toEqual(['failed invalid_argument']);
});

test('there is one timer, at the machine\'s next deadline, and none when there is none', () => {
  const { script, timers, act, moveTo } = makeWorld();
  script.deadline = 100.4;
  act();
  script.deadline = 50.2;
  act();
  expect(timers.size).toBe(1);
  moveTo(50);
  expect(script.inputs).toEqual([]);
  moveTo(51);
  expect(script.inputs).toEqual(['timeout at 51']);
  expect(timers.size).toBe(0);
});
