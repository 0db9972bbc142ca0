import { expect, test } from 'vitest';
import { IncomingFeeds, type FeedChanges } from './incoming_feeds';
import type { FeedInfo } from './signalling_messages';

// Identity is all that IncomingFeeds asks of a track.
const trackNamed = (id: string): MediaStreamTrack => ({ id }) as MediaStreamTrack;
const feed = (id: string, participantId = 'par_1'): FeedInfo => ({ id, kind: 'video', label: 'Camera', participantId, codec: 'VP8' });
const ids = ({ added, removed }: FeedChanges): string =>
  [...removed.map(({ id }) => `-${id}`), ...added.map(({ id }) => `+${id}`)].join(' ');

test('a feed is added when it is known and its track is there, in either order', () => {
  const feeds = new IncomingFeeds();
  feeds.participantJoined({ id: 'par_1', identity: 'Ada', feeds: [] });
  expect(ids(feeds.feedAdded(feed('fd_1')))).toBe('');
  const changes = feeds.tracksChanged(new Map([['fd_1', trackNamed('a')], ['fd_2', trackNamed('b')]]));
  expect(ids(changes)).toBe('+fd_1');
  expect(changes.added[0]).toMatchObject({ identity: 'Ada', label: 'Camera', kind: 'video', codec: 'VP8' });
  expect(ids(feeds.feedAdded(feed('fd_2')))).toBe('+fd_2');
});

test('a feed goes with its track, with its end, or with its participant, and once', () => {
  const feeds = new IncomingFeeds();
  feeds.reset([
    { id: 'par_1', identity: 'Ada', feeds: [feed('fd_1'), feed('fd_2')] },
    { id: 'par_2', identity: 'Bo', feeds: [feed('fd_3', 'par_2')] },
  ]);
  const tracks = new Map(['fd_1', 'fd_2', 'fd_3'].map((id) => [id, trackNamed(id)]));
  expect(ids(feeds.tracksChanged(tracks))).toBe('+fd_1 +fd_2 +fd_3');
  expect(ids(feeds.feedRemoved('fd_1'))).toBe('-fd_1');
  expect(ids(feeds.feedRemoved('fd_1'))).toBe('');
  expect(ids(feeds.participantLeft('par_2'))).toBe('-fd_3');
  expect(ids(feeds.tracksChanged(new Map()))).toBe('-fd_2');
  expect(feeds.participants).toEqual([{ id: 'par_1', identity: 'Ada' }]);
});

test('an m-line that carries another feed, and a feed that moved to another m-line, are told as such', () => {
  const feeds = new IncomingFeeds();
  feeds.reset([{ id: 'par_1', identity: 'Ada', feeds: [feed('fd_1'), feed('fd_2')] }]);
  const [a, b] = [trackNamed('a'), trackNamed('b')];
  feeds.tracksChanged(new Map([['fd_1', a]]));
  expect(ids(feeds.tracksChanged(new Map([['fd_2', a]])))).toBe('-fd_1 +fd_2');
  expect(ids(feeds.tracksChanged(new Map([['fd_2', b]])))).toBe('-fd_2 +fd_2');
});

test('a feed that this client cannot decode is told with its error, until it ends or comes anew', () => {
  const feeds = new IncomingFeeds();
  feeds.reset([{ id: 'par_1', identity: 'Ada', feeds: [feed('fd_1'), feed('fd_2')] }]);
  const error = { code: 'unsupported', message: 'no H264' } as const;
  expect(ids(feeds.tracksChanged(new Map([['fd_1', trackNamed('a')], ['fd_2', trackNamed('b')]])))).toBe('+fd_1 +fd_2');
  const changes = feeds.feedUnsupported('fd_1', error);
  expect(ids(changes)).toBe('-fd_1 +fd_1');
  expect(changes.added[0]).toMatchObject({ identity: 'Ada', track: undefined, error });
  expect(ids(feeds.tracksChanged(new Map([['fd_2', trackNamed('b')]])))).toBe('-fd_2 +fd_2');
  expect(ids(feeds.feedUnsupported('fd_9', error))).toBe('');
  expect(ids(feeds.feedRemoved('fd_1'))).toBe('-fd_1');
  feeds.feedAdded(feed('fd_1'));
  expect(ids(feeds.tracksChanged(new Map([['fd_1', trackNamed('c')]])))).toBe('-fd_2 +fd_1');
});

test('a feed that was never seen with a track is told all the same when it cannot be decoded', () => {
  const feeds = new IncomingFeeds();
  feeds.reset([{ id: 'par_1', identity: 'Ada', feeds: [feed('fd_1')] }]);
  expect(ids(feeds.feedUnsupported('fd_1', { code: 'unsupported', message: 'no' }))).toBe('+fd_1');
  expect(ids(feeds.participantLeft('par_1'))).toBe('-fd_1');
});

test('after a resume what is no longer there is gone and what stayed is not told again', () => {
  const feeds = new IncomingFeeds();
  feeds.reset([{ id: 'par_1', identity: 'Ada', feeds: [feed('fd_1'), feed('fd_2')] }]);
  feeds.tracksChanged(new Map([['fd_1', trackNamed('a')], ['fd_2', trackNamed('b')]]));
  expect(ids(feeds.reset([{ id: 'par_1', identity: 'Ada', feeds: [feed('fd_2')] }]))).toBe('-fd_1');
});

test('a feed that is muted says so, at once or when it comes, and one of nobody changes nothing', () => {
  const feeds = new IncomingFeeds();
  feeds.reset([{ id: 'par_1', identity: 'Ada', feeds: [feed('fd_1'), { ...feed('fd_2'), muted: true }] }]);
  feeds.tracksChanged(new Map([['fd_1', trackNamed('a')], ['fd_2', trackNamed('b')]]));
  expect(feeds.feeds.map(({ muted }) => muted)).toEqual([false, true]);
  expect(feeds.feedChanged({ ...feed('fd_1'), muted: true })?.muted).toBe(true);
  expect(feeds.feedChanged(feed('fd_2'))?.muted).toBe(false);
  expect(feeds.feedChanged({ ...feed('fd_own'), muted: true })).toBeUndefined();
  expect(feeds.feeds.map(({ muted }) => muted)).toEqual([true, false]);
});
