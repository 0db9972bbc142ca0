// The shape of a client state machine: it owns no socket, clock or timer. Inputs carry the time in milliseconds, outputs are
// polled until none is left, and `nextTimeout` says when `handleTimeout` wants to be called (Infinity: nothing is scheduled).
import type { AmphiError } from './errors';

export interface OpenConnection { readonly kind: 'openConnection' }
export interface SendText { readonly kind: 'sendText'; readonly text: string }
export interface CloseConnection { readonly kind: 'closeConnection' }
export type ConnectionOutput = OpenConnection | SendText | CloseConnection;

export interface ConnectionMachine<Output extends { readonly kind: string }> {
  connectionOpened(now: number): void;
  connectionFailed(error: AmphiError, now: number): void;
  /** No error: the peer closed the connection in an orderly way. */
  connectionClosed(error: AmphiError | undefined, now: number): void;
  handleMessage(text: string, now: number): void;
  handleTimeout(now: number): void;
  pollOutput(): ConnectionOutput | Output | undefined;
  nextTimeout(): number;
}
