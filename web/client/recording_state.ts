// The recording state as the application sees it, and how the server's words become part of it.
import type { AmphiError } from './errors';
import type { DurationLine } from './running_duration';
import type { WireFeedState, WireWarning } from './services_messages';

export interface RecordingState {
  /** The last state that the server confirmed, never what was merely asked for. */
  readonly on: boolean;
  /** This participant asked, and the server has neither confirmed nor refused yet. */
  readonly updatePending: boolean;
  readonly revision: number;
  readonly recordingId: string;
  /** Identity of the participant that caused the last change; empty: the server itself. */
  readonly changedBy: string;
  /** The newer: of the last request made here (refused, timed out), or of the recording itself. */
  readonly error: AmphiError | undefined;
  /** On, and nothing is being written: no feed yet, or all of them are silent. */
  readonly waitingForMedia: boolean;
  /** How much of its newest media the session keeps for a recording to begin with. */
  readonly preRollMs: number;
  /** The first of `warnings`. */
  readonly warning: RecordingWarning | undefined;
  /** Everything that threatens the running recording or costs it media now, the most urgent first. */
  readonly warnings: readonly RecordingWarning[];
  /** Further warnings that the server does not list. */
  readonly warningsNotListed: number;
  /** Whether each feed of the session is being recorded; those that lose media come first. Empty while nothing is recorded. */
  readonly feeds: readonly RecordingFeedState[];
  /** Further feeds that the server does not list. */
  readonly feedsNotListed: number;
  readonly duration: DurationLine;
}

export interface RecordingWarning {
  /** "storage_slow", "storage_low", "media_dropped", "limit_exceeded", "feed_not_recorded", "media_lost", "sources_compete", "bad_timestamps" or "picture_order". */
  readonly code: string;
  readonly message: string;
  readonly minutesLeft: number | undefined;
  /** Empty: no feed in particular. */
  readonly feedId: string;
  /** Empty: no participant in particular. */
  readonly participantId: string;
}

/** Whether one feed of the session is being recorded. */
export interface RecordingFeedState {
  readonly feedId: string;
  readonly participantId: string;
  readonly label: string;
  readonly kind: 'audio' | 'video';
  readonly recorded: boolean;
  /** Why not; empty: recorded. "waiting_for_media", "silent": nothing arrives. "muted": by an administrator. Any other reason: media arrive and are lost. "media_lost": most of them. */
  readonly reason: string;
  /** The reason in words, with the feed's label and the seconds that it has lasted. */
  readonly message: string;
  /** When that began, on the recording's time line. */
  readonly sinceMs: number;
}

export const warningFromWire = (warning: WireWarning): RecordingWarning => ({
  code: warning.code, message: warning.message, minutesLeft: warning.minutesLeft, feedId: warning.feedId ?? '', participantId: warning.participantId ?? '',
});
export const feedFromWire = (feed: WireFeedState): RecordingFeedState => ({
  feedId: feed.feedId, participantId: feed.participantId, label: feed.label, kind: feed.kind, recorded: feed.recorded,
  reason: feed.reason ?? '', message: feed.message ?? '', sinceMs: feed.sinceMs ?? 0,
});

/** A moment of a recording that somebody pointed out. */
export interface RecordingMarker {
  readonly recordingId: string;
  /** On the recording's own time line. */
  readonly atMs: number;
  readonly label: string;
  readonly by: string;
}
