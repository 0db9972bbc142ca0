import { expect, test } from 'vitest';
import { describe as describeRecording, type Situation } from './recording_panel';

const recorded = {
  on: false, updatePending: false, changedBy: '', error: undefined, revision: 7,
  waitingForMedia: false, preRollMs: 0, warning: undefined,
};
const ready: Situation = {
  joined: true, mayRecord: true, servicesConnected: true, servicesLostAt: undefined, state: recorded, asked: false, refusal: undefined,
};
const lostAt = new Date(2026, 0, 1, 9, 5, 7);

test.each<[string, Partial<Situation>, object]>([
  ['off', {}, { tone: 'off', text: 'Off', button: 'Start recording', disabled: '' }],
  ['on', { state: { ...recorded, on: true, changedBy: 'Ada' } },
    { tone: 'on', text: 'Recording', button: 'Stop recording', detail: 'Started by Ada', disabled: '' }],
  ['a start that is asked for is not a recording', { state: { ...recorded, updatePending: true }, asked: true },
    { tone: 'pending', text: 'Asking to start…', disabled: 'The server has not answered yet.' }],
  ['a stop that is asked for', { state: { ...recorded, on: true, updatePending: true } }, { tone: 'pending', text: 'Stopping…' }],
  ['lost services leave the state unknown, and say what it was', { servicesConnected: false, servicesLostAt: lostAt, state: { ...recorded, on: true } },
    { tone: 'unknown', text: 'State unknown since 09:05:07. It was recording.', disabled: 'The recording service is not connected.' }],
  ['services that were never there', { servicesConnected: false, state: { ...recorded, revision: 0 } },
    { tone: 'unknown', text: 'Waiting for the recording service…' }],
  ['no grant', { mayRecord: false }, { tone: 'off', text: 'Off', disabled: 'Your link does not allow you to record.' }],
  ['an error of the server', { state: { ...recorded, error: { code: 'storage', message: 'The disk is full.' } } }, { error: 'The disk is full.' }],
  ['a refusal at once', { refusal: { code: 'disconnected', message: 'Not connected.' } }, { error: 'Not connected.' }],
  ['on, and nothing to write yet', { state: { ...recorded, on: true, waitingForMedia: true } },
    { tone: 'pending', text: 'Recording: waiting for media…', button: 'Stop recording', disabled: '' }],
  ['a warning', { state: { ...recorded, on: true, warning: { code: 'storage_low', message: 'Full in 20 minutes.', minutesLeft: 20 } } },
    { tone: 'on', warning: 'Full in 20 minutes.', error: '' }],
  ['a pre-roll is kept', { state: { ...recorded, preRollMs: 30_000 } }, { preRoll: 'The last 30 s are kept: a recording begins with them.' }],
  ['a pre-roll that has become part of the recording', { state: { ...recorded, on: true, preRollMs: 30_000 } }, { preRoll: '' }],
  ['not joined', { joined: false }, { tone: 'unknown', disabled: 'You are not in the session.' }],
])('%s', (_name, change, expected) => expect(describeRecording({ ...ready, ...change })).toMatchObject(expected));
