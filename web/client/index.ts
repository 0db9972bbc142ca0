// @amphi/client: a browser joins a media session, shares and receives feeds, and controls the remote recording.
export { MediaServerSession, type ConnectionState, type SessionOptions, type SessionRecordingState } from './session';
export { OutgoingFeed, type OutgoingFeedState } from './publisher';
export type { IncomingFeed, Participant } from './incoming_feeds';
export type { RecordingFeedState, RecordingMarker, RecordingWarning } from './recording_state';
export type { AmphiError, ErrorCode, Result } from './errors';
export type { VideoCodec } from './codec_preference';
export { listRecordings, recordingFileUrl, type Recording, type RecordedTrack } from './recordings';
export { parseSessionAddress, type SessionAddress } from './session_address';
