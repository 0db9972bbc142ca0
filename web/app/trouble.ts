// What the page says while the session goes on trying: why it is not joined, or why no media gets through.
import type { AmphiError, ConnectionState } from '@amphi/client';

/** `reason`: of the last failed attempt. Empty: there is nothing to say. */
export function describeTrouble(state: ConnectionState, reason: AmphiError | undefined, mediaError: AmphiError | undefined): string {
  if (reason !== undefined && (state === 'connecting' || state === 'reconnecting')) {
    return `${explain(reason)} The page tries again by itself until you leave. (${reason.message || reason.code})`;
  }
  if (state === 'connected' && mediaError !== undefined) return `${mediaError.message} The page keeps trying.`;
  return '';
}

function explain(reason: AmphiError): string {
  switch (reason.code) {
    case 'limit_exceeded': return 'The session is full, or the server is asked too much.';
    case 'timeout': return 'The server does not answer.';
    case 'disconnected': return 'There is no connection to the server.';
    case 'media_unreachable': return 'The connection for audio and video broke.';
    default: return 'The server has a problem.';
  }
}
