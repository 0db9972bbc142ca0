// A session's address, https://HOST/s/SESSION, and the addresses that follow from it.

export interface SessionAddress {
  readonly sessionId: string;
  readonly signalling: string;
  readonly services: string;
  readonly recordings: string;
}

/** `undefined`: this is not the address of a session. */
export function parseSessionAddress(text: string): SessionAddress | undefined {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return undefined;
  }
  const segment = /^\/s\/([^/]+)\/?$/.exec(url.pathname)?.[1];
  const webSocketScheme = { 'http:': 'ws:', 'https:': 'wss:' }[url.protocol];
  if (segment === undefined || webSocketScheme === undefined) return undefined;
  const path = `//${url.host}/v1/sessions/${segment}`;
  return {
    sessionId: decode(segment),
    signalling: `${webSocketScheme}${path}/signalling`,
    services: `${webSocketScheme}${path}/services`,
    recordings: `${url.protocol}${path}/recordings`,
  };
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
