import { expect, test } from 'vitest';
import { describe as describeRecording, type Situation } from './recording_panel';

const recorded = {
  on: false, updatePending: false, changedBy: '', error: undefined, revision: 7,
  waitingForMedia: false, preRollMs: 0, warnings: [], warningsNotListed: 0, feeds: [], feedsNotListed: 0,
};
const feed = { feedId: 'fd_1', participantId: 'par_1', label: '', kind: 'video' as const, recorded: true, reason: '', message: '', sinceMs: 0 };
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
  ['every warning on a line of its own', { state: { ...recorded, on: true, warningsNotListed: 3, warnings: [
    { code: 'storage_low', message: 'Full in 20 minutes.', minutesLeft: 20, feedId: '', participantId: '' },
    { code: 'feed_not_recorded', message: 'endoscope: not recorded, no keyframe for 12 s', minutesLeft: undefined, feedId: 'fd_1', participantId: 'par_1' },
  ] } }, { tone: 'on', warning: 'Full in 20 minutes.\nendoscope: not recorded, no keyframe for 12 s\n3 further warnings', error: '' }],
  ['what is recorded, and what is not', { state: { ...recorded, on: true, feedsNotListed: 2, feeds: [
    { ...feed, label: 'endoscope', recorded: false, reason: 'no_keyframe', message: 'endoscope: not recorded, no keyframe for 12 s' },
    { ...feed, label: 'room', recorded: false, reason: 'a_reason_of_later' },
    { ...feed, label: 'voice' }, { ...feed, recorded: false, reason: 'silent', message: 'video: no media received for 7 s' },
  ] } }, { feeds: [
    { text: 'endoscope: not recorded, no keyframe for 12 s', lost: true }, { text: 'room: not recorded (a_reason_of_later)', lost: true },
    { text: 'voice: recorded', lost: false }, { text: 'video: no media received for 7 s', lost: false }, { text: '2 further feeds', lost: false },
  ] }],
  ['nothing of feeds while nothing is recorded', { state: { ...recorded, feeds: [feed] } }, { feeds: [] }],
  ['a pre-roll is kept', { state: { ...recorded, preRollMs: 30_000 } }, { preRoll: 'The last 30 s are kept: a recording begins with them.' }],
  ['a pre-roll that has become part of the recording', { state: { ...recorded, on: true, preRollMs: 30_000 } }, { preRoll: '' }],
  ['not joined', { joined: false }, { tone: 'unknown', disabled: 'You are not in the session.' }],
])('%s', (_name, change, expected) => expect(describeRecording({ ...ready, ...change })).toMatchObject(expected));
