// The signalling messages (docs/protocol.md, version 1): their types, and the guards that text from the server passes.
import {
  isClosing, isCode, isCount, isErrorMessage, isFlag, isId, isListOf, isMessage, isOneOf, isShape, isText, optional, parseMessage, type Check, type Parsed,
} from './guards';

export const signallingVersion = 1;
export const maximumSignallingMessage = 256 * 1024;

export type FeedKind = 'audio' | 'video';
export interface FeedInfo { id: string; kind: FeedKind; label: string; participantId: string; codec: string; muted?: boolean }
export interface ParticipantInfo { id: string; identity: string; feeds: FeedInfo[] }
export interface PublishedFeed { mid: string; kind: FeedKind; label: string }
export interface FeedOnMid { mid: string; feedId: string }

export interface Joined {
  type: 'joined';
  version: 1;
  sessionId: string;
  participantId: string;
  identity: string;
  grants: string[];
  resumeToken: string;
  resumed: boolean;
  resumeWindowMs: number;
  participants: ParticipantInfo[];
}
export interface RefusedOnMid { mid: string; code: string; message: string }
export interface PublishAnswer { type: 'publishAnswer'; sdp: string; feeds: FeedOnMid[]; refused?: RefusedOnMid[] }
export interface SubscribeOffer { type: 'subscribeOffer'; offerId: string; sdp: string; feeds: FeedOnMid[] }
/** Our answer to a subscribeOffer takes none of the feed's codecs. */
export interface FeedUnsupported { type: 'feedUnsupported'; feedId: string; code: string; message: string }
export interface ErrorMessage {
  type: 'error'; code: string; message: string; fatal: boolean; inReplyTo?: string;
  /** This transport of ours has failed at the server. */
  transport?: 'publishing' | 'subscribing';
}

export type FromSignallingServer =
  | Joined | PublishAnswer | SubscribeOffer | ErrorMessage
  | { type: 'participantJoined'; participant: ParticipantInfo }
  | { type: 'participantLeft'; participantId: string; mayReturn?: boolean }
  | { type: 'feedAdded'; feed: FeedInfo }
  | { type: 'feedChanged'; feed: FeedInfo }
  | { type: 'feedRemoved'; feedId: string; mayReturn?: boolean }
  | FeedUnsupported
  | { type: 'closing'; reason: string; mayReturn?: boolean }
  | { type: 'ping' } | { type: 'pong' };

export type ToSignallingServer =
  | { type: 'join'; version: 1; token: string; resumeToken?: string; client?: string }
  | { type: 'publishOffer'; sdp: string; feeds: PublishedFeed[] }
  | { type: 'subscribeAnswer'; offerId: string; sdp: string }
  | { type: 'restartSubscribe' } | { type: 'leave'; mayReturn?: boolean } | { type: 'ping' } | { type: 'pong' };

const isKind = isOneOf('audio', 'video');
const isSdp = isText(1, 200_000);
const isFeed = isShape({ id: isId, kind: isKind, label: isText(0, 128), participantId: isId, codec: isText(1, 32), muted: optional(isFlag) });
const isParticipant = isShape({ id: isId, identity: isId, feeds: isListOf(isFeed, 256) });
const isMid = isText(1, 64);
const isFeedsOnMids = isListOf(isShape({ mid: isMid, feedId: isId }), 256);
const isRefusedOnMid = isShape({ mid: isMid, code: isCode, message: isMessage });
const isGrants: Check = (value) =>
  isListOf(isOneOf('publish', 'subscribe', 'record'), 3)(value) && new Set(value as string[]).size === (value as string[]).length;

export const signallingGuards: Readonly<Record<FromSignallingServer['type'], Check>> = {
  joined: isShape({
    version: isOneOf(signallingVersion), sessionId: isId, participantId: isId, identity: isId, grants: isGrants,
    resumeToken: isText(1, 256), resumed: isFlag, resumeWindowMs: isCount(0, 3_600_000),
    participants: isListOf(isParticipant, 1000),
  }),
  publishAnswer: isShape({ sdp: isSdp, feeds: isFeedsOnMids, refused: optional(isListOf(isRefusedOnMid, 256)) }),
  subscribeOffer: isShape({ offerId: isId, sdp: isSdp, feeds: isFeedsOnMids }),
  participantJoined: isShape({ participant: isParticipant }),
  participantLeft: isShape({ participantId: isId, mayReturn: optional(isFlag) }),
  feedAdded: isShape({ feed: isFeed }),
  feedChanged: isShape({ feed: isFeed }),
  feedRemoved: isShape({ feedId: isId, mayReturn: optional(isFlag) }),
  feedUnsupported: isShape({ feedId: isId, code: isCode, message: isMessage }),
  closing: isClosing,
  ping: isShape({}),
  pong: isShape({}),
  error: isErrorMessage,
};

export const parseSignalling = (text: string): Parsed<FromSignallingServer> =>
  parseMessage<FromSignallingServer>(text, maximumSignallingMessage, signallingGuards);
