import { expect, test, vi } from 'vitest';
import { listRecordings, parseRecordings, recordingFileUrl } from './recordings';
import { parseSessionAddress } from './session_address';

test('every address follows from the session\'s', () => {
  expect(parseSessionAddress('https://media.example:8443/s/ses_theatre%204?publish=camera#token=x')).toEqual({
    sessionId: 'ses_theatre 4',
    signalling: 'wss://media.example:8443/v1/sessions/ses_theatre%204/signalling',
    services: 'wss://media.example:8443/v1/sessions/ses_theatre%204/services',
    recordings: 'https://media.example:8443/v1/sessions/ses_theatre%204/recordings',
  });
  expect(parseSessionAddress('http://127.0.0.1:7000/s/a')?.signalling).toBe('ws://127.0.0.1:7000/v1/sessions/a/signalling');
});

test.each(['', 'nonsense', 'ftp://host/s/a', 'https://host/', 'https://host/s/', 'https://host/s/a/b'])('%j is no session', (text) => {
  expect(parseSessionAddress(text)).toBeUndefined();
});

test('a file\'s address carries the token and keeps its path apart from its text', () => {
  const address = parseSessionAddress('http://h/s/a');
  if (address === undefined) throw new Error('no address');
  expect(recordingFileUrl(address, 'rec_1', 'tracks/camera 1?.webm', 'to+ken')).toBe(
    'http://h/v1/sessions/a/recordings/rec_1/tracks/camera%201%3F.webm?access_token=to%2Bken');
});

test('of a list of recordings, what can be read is read', () => {
  const track = { path: 'v.webm', kind: 'video', codec: 'VP8', durationMs: null, width: 640 };
  const recordings = [{ recordingId: 'rec_1', stoppedAt: null, tracks: [track] }, { recordingId: 7 }, null];
  expect(parseRecordings({ recordings })).toMatchObject([
    { id: 'rec_1', tracks: [{ path: 'v.webm', kind: 'video', codec: 'VP8', width: 640 }] },
  ]);
  for (const value of [null, [], {}, { recordings: {} }, 'x']) expect(parseRecordings(value)).toBeUndefined();
});

test('the list of recordings is followed page by page', async () => {
  const address = parseSessionAddress('http://h/s/a');
  if (address === undefined) throw new Error('no address');
  const asked: string[] = [];
  const pages: Record<string, unknown> = {
    '': { recordings: [{ recordingId: 'rec_3', tracks: [] }, { recordingId: 'rec_2', tracks: [] }], next: '17/a/rec_2' },
    '?cursor=17%2Fa%2Frec_2': { recordings: [{ recordingId: 'rec_1', tracks: [] }] },
  };
  vi.stubGlobal('fetch', async (url: string) => {
    asked.push(url.slice(address.recordings.length));
    return new Response(JSON.stringify(pages[asked.at(-1) ?? '']));
  });
  expect((await listRecordings(address, 'token')).map(({ id }) => id)).toEqual(['rec_3', 'rec_2', 'rec_1']);
  expect(asked).toEqual(['', '?cursor=17%2Fa%2Frec_2']);
  vi.stubGlobal('fetch', async () => new Response(JSON.stringify({ recordings: [], next: 'the same' })));
  await expect(listRecordings(address, 'token')).resolves.toEqual([]);
  vi.unstubAllGlobals();
});
