// Who is in the session and what they share: joins what signalling says about feeds with the tracks that media brings, and
// tells what came and what went. A feed counts as added when both are there, or when this client cannot decode it.
import type { AmphiError } from './errors';
import type { FeedInfo, FeedKind, ParticipantInfo } from './signalling_messages';

/** A feed of somebody else. */
export interface IncomingFeed {
  readonly id: string;
  readonly kind: FeedKind;
  readonly label: string;
  readonly participantId: string;
  /** Who shares it, as people see them. */
  readonly identity: string;
  readonly codec: string;
  /** An administrator has muted it: nothing arrives. */
  muted: boolean;
  /** Absent where this client cannot decode the feed: `error` says so. */
  readonly track: MediaStreamTrack | undefined;
  readonly error: AmphiError | undefined;
}

export interface Participant { readonly id: string; readonly identity: string }

export interface FeedChanges { readonly added: readonly IncomingFeed[]; readonly removed: readonly IncomingFeed[] }

export class IncomingFeeds {
  private readonly people = new Map<string, Participant>();
  private readonly known = new Map<string, FeedInfo>();
  private readonly shown = new Map<string, IncomingFeed>();
  private readonly unsupported = new Map<string, AmphiError>();
  private tracks: ReadonlyMap<string, MediaStreamTrack> = new Map();

  get participants(): readonly Participant[] { return [...this.people.values()]; }
  get feeds(): readonly IncomingFeed[] { return [...this.shown.values()]; }

  /** Everybody there is, from `joined`: whoever is not named has gone. */
  reset(participants: readonly ParticipantInfo[]): FeedChanges {
    this.people.clear();
    this.known.clear();
    for (const participant of participants) this.note(participant);
    for (const id of [...this.unsupported.keys()]) if (!this.known.has(id)) this.unsupported.delete(id);
    return this.settle();
  }

  participantJoined(participant: ParticipantInfo): FeedChanges {
    this.note(participant);
    return this.settle();
  }

  participantLeft(participantId: string): FeedChanges {
    this.people.delete(participantId);
    for (const feed of [...this.known.values()]) if (feed.participantId === participantId) this.forget(feed.id);
    return this.settle();
  }

  feedAdded(feed: FeedInfo): FeedChanges {
    this.known.set(feed.id, feed);
    return this.settle();
  }

  /** The feed, where it is shown and somebody else's. */
  feedChanged(feed: FeedInfo): IncomingFeed | undefined {
    if (!this.known.has(feed.id)) return undefined;
    this.known.set(feed.id, feed);
    const shown = this.shown.get(feed.id);
    if (shown !== undefined) shown.muted = feed.muted === true;
    return shown;
  }

  feedRemoved(feedId: string): FeedChanges {
    this.forget(feedId);
    return this.settle();
  }

  /** The server says that our answer takes none of the feed's codecs. */
  feedUnsupported(feedId: string, error: AmphiError): FeedChanges {
    if (this.known.has(feedId)) this.unsupported.set(feedId, error);
    return this.settle();
  }

  /** What the subscribing transport carries now: feed id to track. */
  tracksChanged(tracks: ReadonlyMap<string, MediaStreamTrack>): FeedChanges {
    this.tracks = tracks;
    return this.settle();
  }

  private forget(feedId: string): void {
    this.known.delete(feedId);
    this.unsupported.delete(feedId);
  }

  private note({ id, identity, feeds }: ParticipantInfo): void {
    this.people.set(id, { id, identity });
    for (const feed of feeds) this.known.set(feed.id, feed);
  }

  private trackOf(feedId: string): MediaStreamTrack | undefined {
    return this.unsupported.has(feedId) ? undefined : this.tracks.get(feedId);
  }

  private settle(): FeedChanges {
    const removed = this.feeds.filter(({ id, track, error }) => !this.known.has(id) || this.trackOf(id) !== track || this.unsupported.get(id) !== error);
    for (const { id } of removed) this.shown.delete(id);
    for (const feed of this.shown.values()) feed.muted = this.known.get(feed.id)?.muted === true;
    const added: IncomingFeed[] = [];
    for (const feed of this.known.values()) {
      const track = this.trackOf(feed.id);
      const error = this.unsupported.get(feed.id);
      if ((track === undefined && error === undefined) || this.shown.has(feed.id)) continue;
      const identity = this.people.get(feed.participantId)?.identity ?? '';
      const { id, kind, label, participantId, codec } = feed;
      const incoming = { id, kind, label, participantId, codec, identity, muted: feed.muted === true, track, error };
      this.shown.set(id, incoming);
      added.push(incoming);
    }
    return { added, removed };
  }
}
