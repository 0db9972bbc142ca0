// The session's recordings over HTTP: the list, and where each file can be played.
import { isCount, isId, isListOf, isObject, isOneOf, isShape, isText, optional } from './guards';
import type { SessionAddress } from './session_address';

export interface RecordedTrack {
  path: string;
  kind: 'audio' | 'video';
  codec: string;
  label?: string;
  participantIdentity?: string;
  width?: number;
  height?: number;
  offsetMs?: number;
  durationMs?: number;
  frames?: number;
  sha256?: string;
}

export interface Recording {
  id: string;
  startedAt?: string;
  stoppedAt?: string;
  durationMs?: number;
  state?: string;
  requestedBy?: string;
  tracks: RecordedTrack[];
}

const isAnyText = isText(0, 4096);
const isMilliseconds = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);
const isTrack = isShape({
  path: isText(1, 1024), kind: isOneOf('audio', 'video'), codec: isAnyText, label: optional(isAnyText),
  participantIdentity: optional(isAnyText), width: optional(isCount()), height: optional(isCount()),
  offsetMs: optional(isMilliseconds), durationMs: optional(isMilliseconds), frames: optional(isCount()), sha256: optional(isAnyText),
});
const isRecording = isShape({
  id: isId, startedAt: optional(isAnyText), stoppedAt: optional(isAnyText), durationMs: optional(isMilliseconds),
  state: optional(isAnyText), requestedBy: optional(isAnyText), tracks: isListOf(isTrack, 10_000),
});

/** What the server's list says; what is not a recording in it is left out. `undefined`: this is no list at all. */
export function parseRecordings(value: unknown): Recording[] | undefined {
  if (!isObject(value) || !Array.isArray(value['recordings'])) return undefined;
  return value['recordings'].map(withoutNulls).map(named).filter((entry): entry is Recording => isRecording(entry));
}

/** An entry of the list is a recording's manifest, whose id is called `recordingId`. */
const named = (entry: unknown): unknown =>
  isObject(entry) && entry['recordingId'] !== undefined ? { ...entry, id: entry['recordingId'] } : entry;

/** JSON says "not yet" by null as well as by absence. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== null)
    .map(([name, entry]) => [name, withoutNulls(entry)]));
}

const kMaxPages = 100;

/** The session's recordings, newest first, of all the list's pages. Throws an Error with a readable message. */
export async function listRecordings(address: SessionAddress, accessToken: string): Promise<Recording[]> {
  const recordings: Recording[] = [];
  let cursor = '';
  for (let page = 0; page < kMaxPages; page += 1) {
    const query = cursor === '' ? '' : `?cursor=${encodeURIComponent(cursor)}`;
    const response = await fetch(address.recordings + query, { headers: { Authorization: `Bearer ${accessToken}` }, cache: 'no-store' });
    if (!response.ok) throw new Error(`The list of recordings was refused (${response.status}).`);
    const value: unknown = await response.json().catch(() => undefined);
    const found = parseRecordings(value);
    if (found === undefined) throw new Error('The list of recordings cannot be read.');
    recordings.push(...found);
    const next = isObject(value) ? value['next'] : undefined;
    if (typeof next !== 'string' || next === '' || next === cursor) break;
    cursor = next;
  }
  return recordings;
}

/** An address that a <video> or <audio> element can play. */
export const recordingFileUrl = (address: SessionAddress, recordingId: string, path: string, accessToken: string): string =>
  `${address.recordings}/${encodeURIComponent(recordingId)}/${path.split('/').map(encodeURIComponent).join('/')}` +
  `?access_token=${encodeURIComponent(accessToken)}`;
