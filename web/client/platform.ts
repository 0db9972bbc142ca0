// What the library takes from the browser, in one place, so that tests bring their own.

export interface SocketEvents {
  opened(): void;
  message(data: unknown): void;
  /** Also when it could not be opened. `orderly`: the peer meant it. */
  closed(orderly: boolean): void;
}

export interface Socket {
  send(text: string): void;
  /** Nothing is reported any more. */
  close(): void;
}

export interface Platform {
  /** Milliseconds on a clock that only goes forward. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  uniqueId(): string;
  openSocket(url: string, events: SocketEvents): Socket;
  makePeerConnection(configuration?: RTCConfiguration): RTCPeerConnection;
  /** Calls back once, after at least so long; gives what cancels it. */
  schedule(callback: () => void, delayMs: number): () => void;
  /** Calls back whenever the device's network may have changed; gives what stops that. */
  watchNetwork(callback: () => void): () => void;
}

const uniqueId = (): string => {
  // Not crypto.randomUUID: a page on plain http from another machine does not have it.
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
};

const normalClosure = 1000;
const goingAway = 1001;

const openSocket = (url: string, events: SocketEvents): Socket => {
  const socket = new WebSocket(url);
  socket.onopen = () => events.opened();
  socket.onmessage = ({ data }) => events.message(data);
  socket.onclose = ({ wasClean, code }) => events.closed(wasClean && (code === normalClosure || code === goingAway));
  return {
    send: (text) => socket.send(text),
    close: () => {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    },
  };
};

export const browserPlatform: Platform = {
  now: () => performance.now(),
  random: () => Math.random(),
  uniqueId,
  openSocket,
  makePeerConnection: (configuration) => new RTCPeerConnection(configuration),
  schedule: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  watchNetwork: (callback) => {
    window.addEventListener('online', callback);
    const connection = (navigator as { connection?: EventTarget }).connection;
    connection?.addEventListener('change', callback);
    return () => {
      window.removeEventListener('online', callback);
      connection?.removeEventListener('change', callback);
    };
  },
};
