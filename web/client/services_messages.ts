// The services messages (docs/protocol.md, version 1): their types, and the guards that text from the server passes.
import {
  isClosing, isCount, isError, isErrorMessage, isFlag, isId, isListOf, isOneOf, isShape, isText, optional, parseMessage,
  type Check, type Parsed,
} from './guards';

export const servicesVersion = 1;
export const maximumServicesMessage = 16 * 1024;

export type Phase = 'off' | 'recording' | 'stopping';
export interface WireError { code: string; message: string }
export interface WireWarning { code: string; message: string; minutesLeft?: number; feedId?: string; participantId?: string }
export interface WireFeedState {
  feedId: string;
  participantId: string;
  label: string;
  kind: 'audio' | 'video';
  recorded: boolean;
  reason?: string;
  message?: string;
  sinceMs?: number;
}
export interface MarkerMessage {
  type: 'recording.marker';
  recordingId: string;
  /** From 1 on, within the recording. */
  index: number;
  atMs: number;
  label: string;
  by?: string;
}
export interface RecordingStateMessage {
  type: 'recording.state';
  revision: number;
  on: boolean;
  phase: Phase;
  recordingId?: string;
  changedBy?: string;
  error?: WireError;
  totalMs: number;
  waitingForMedia?: boolean;
  preRollMs?: number;
  warning?: WireWarning;
  warnings?: WireWarning[];
  warningsNotListed?: number;
  feeds?: WireFeedState[];
  feedsNotListed?: number;
  requestId?: string;
}
export interface Welcome { type: 'welcome'; version: 1; sessionId: string; services: string[]; heartbeatMs: number }
export interface RecordingResponse { type: 'recording.response'; requestId: string; ok: boolean; error?: WireError }
export interface Beat { type: 'beat'; revision: number; totalMs: number }

export type FromServicesServer =
  | Welcome | RecordingResponse | RecordingStateMessage | MarkerMessage | Beat
  | { type: 'pong' }
  | { type: 'closing'; reason: string }
  | ({ type: 'error'; fatal: boolean; inReplyTo?: string } & WireError);

export type ToServicesServer =
  | { type: 'hello'; version: 1; token: string; participantId: string }
  | { type: 'recording.request'; requestId: string; on: boolean }
  | { type: 'recording.marker.add'; requestId: string; label: string }
  | { type: 'ping' };

const isRequestId = isText(1, 64);

/** Whether a marker may be called that: 1 to 200 characters, none of them a control character. */
export const isLabel: Check = (value) =>
  isText(1, 200)(value) && !/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/.test(value as string);
const isWarning = isShape({
  code: isText(1, 64), message: isText(0, 1024), minutesLeft: optional(isCount()), feedId: optional(isId), participantId: optional(isId),
});
const isFeedShape = isShape({
  feedId: isId, participantId: isId, label: isText(0, 1024), kind: isOneOf('audio', 'video'), recorded: isFlag,
  reason: optional(isText(1, 64)), message: optional(isText(0, 1024)), sinceMs: optional(isCount()),
});
const isFeed: Check = (value) => isFeedShape(value) && (value as WireFeedState).recorded === ((value as WireFeedState).reason === undefined);
const isStateShape = isShape({
  revision: isCount(), on: isFlag, phase: isOneOf('off', 'recording', 'stopping'), totalMs: isCount(),
  recordingId: optional(isId), changedBy: optional(isId), error: optional(isError), requestId: optional(isRequestId),
  waitingForMedia: optional(isFlag), preRollMs: optional(isCount()), warning: optional(isWarning),
  warnings: optional(isListOf(isWarning, 256)), warningsNotListed: optional(isCount()),
  feeds: optional(isListOf(isFeed, 256)), feedsNotListed: optional(isCount()),
});
const isResponseShape = isShape({ requestId: isRequestId, ok: isFlag, error: optional(isError) });

export const servicesGuards: Readonly<Record<FromServicesServer['type'], Check>> = {
  welcome: isShape({
    version: isOneOf(servicesVersion), sessionId: isId, services: isListOf(isText(1, 64), 64), heartbeatMs: isCount(100, 8000),
  }),
  'recording.response': (value) => {
    const response = value as RecordingResponse;
    return isResponseShape(value) && response.ok === (response.error === undefined);
  },
  'recording.state': (value) => {
    const state = value as RecordingStateMessage;
    return isStateShape(value) && state.on === (state.phase !== 'off');
  },
  'recording.marker': isShape({
    recordingId: isId, index: isCount(1), atMs: isCount(), label: isLabel, by: optional(isId),
  }),
  beat: isShape({ revision: isCount(), totalMs: isCount() }),
  pong: isShape({}),
  closing: isClosing,
  error: isErrorMessage,
};

export const parseServices = (text: string): Parsed<FromServicesServer> =>
  parseMessage<FromServicesServer>(text, maximumServicesMessage, servicesGuards);
