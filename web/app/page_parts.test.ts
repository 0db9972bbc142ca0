import { expect, test } from 'vitest';
import { formatDuration } from './format';
import { describeShare, peekIntoToken, readLink } from './link';
import { readPageOptions } from './page_options';
import { undecodableText } from './tiles';
import { describeTrouble } from './trouble';

test('a tile says which codec the browser cannot decode', () => {
  expect(undecodableText({ codec: 'H264', error: undefined })).toBe('This browser cannot decode H264.');
  const error = { code: 'unsupported', message: "this client's answer does not take H264 (profile-level-id 64001f)" } as const;
  expect(undecodableText({ codec: 'H264', error })).toContain('profile-level-id 64001f');
});

test.each([
  [0, '00:00:00.0'], [99, '00:00:00.0'], [100, '00:00:00.1'], [59_999, '00:00:59.9'], [3_661_050, '01:01:01.0'],
  [360_000_000, '100:00:00.0'], [-5, '00:00:00.0'],
])('%d ms reads %s', (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text));

test('a link gives its token, and joins by itself only when it says what to share', () => {
  expect(readLink('http://h/s/a#token=x.y.z')).toEqual({ token: 'x.y.z', publish: undefined, codec: 'VP8' });
  expect(readLink('http://h/s/a?publish=microphone,nonsense,camera&codec=h264#token=x')).toEqual({
    token: 'x', publish: ['camera', 'microphone'], codec: 'H264',
  });
  expect(readLink('http://h/s/a?publish=')).toEqual({ token: '', publish: [], codec: 'VP8' });
});

test.each([
  [undefined, [], ''], [[], [], ''], [['camera'], [], 'Share camera'], [['camera', 'microphone'], [], 'Share camera and microphone'],
  [['camera', 'microphone'], ['camera'], 'Share microphone'], [['camera', 'microphone'], ['microphone', 'camera'], ''],
  [['camera', 'microphone', 'screen'], [], 'Share camera, microphone and screen'],
] as const)('a link that proposes %j with %j on gives the button "%s"', (publish, on, text) => {
  expect(describeShare(publish, on)).toBe(text);
});

test.each([
  [{ allowAutopublish: true }, true], [{ allowAutopublish: false }, false], [{ allowAutopublish: 'true' }, false], [{}, false], [null, false], ['', false],
])('the server answered %j: a link may share without a click: %s', (answer, allowed) => {
  expect(readPageOptions(answer)).toEqual({ allowAutopublish: allowed });
});

test('the page says why it is not joined, and that no media gets through, and else nothing', () => {
  const full = { code: 'limit_exceeded', message: 'The session has 100 participants.' } as const;
  const media = { code: 'media_unreachable', message: 'The media port UDP 7881 may be blocked.' } as const;
  expect(describeTrouble('connecting', full, undefined)).toContain('The session is full');
  expect(describeTrouble('reconnecting', { code: 'disconnected', message: '' }, media)).toContain('tries again by itself');
  expect(describeTrouble('connected', undefined, media)).toContain('UDP 7881');
  expect(describeTrouble('connected', full, undefined)).toBe('');
  expect(describeTrouble('disconnected', full, media)).toBe('');
});

test('a token shows whose it is, and a broken one shows nothing', () => {
  const claims = btoa(unescape(encodeURIComponent(JSON.stringify({ identity: 'Zoë', grants: ['record', 7] }))));
  expect(peekIntoToken(`e30.${claims.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}.sig`)).toEqual({
    identity: 'Zoë', grants: ['record'],
  });
  for (const token of ['', 'x', 'a.b.c', 'e30.bnVsbA.s']) expect(peekIntoToken(token)).toEqual({ identity: '', grants: [] });
});
