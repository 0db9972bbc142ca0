// What the page's own address says: the token after `#`, and the query's flags.
import type { VideoCodec } from '@amphi/client';

export type SourceName = 'camera' | 'microphone' | 'screen';
const sourceNames: readonly SourceName[] = ['camera', 'microphone', 'screen'];

export interface Link {
  /** Empty: the link has none. */
  readonly token: string;
  /** Given: join at once and propose to share these. Devices are switched on by a click, or by the server's `--allow-autopublish`. */
  readonly publish: readonly SourceName[] | undefined;
  readonly codec: VideoCodec;
}

export function readLink(address: string): Link {
  const url = new URL(address);
  const publish = url.searchParams.get('publish')?.split(',');
  return {
    token: new URLSearchParams(url.hash.slice(1)).get('token') ?? '',
    publish: publish && sourceNames.filter((name) => publish.includes(name)),
    codec: url.searchParams.get('codec')?.toLowerCase() === 'h264' ? 'H264' : 'VP8',
  };
}

/** The button that shares what a link proposes; empty: nothing is left to share. */
export function describeShare(publish: readonly SourceName[] | undefined, on: readonly SourceName[]): string {
  const left = (publish ?? []).filter((name) => !on.includes(name));
  if (left.length === 0) return '';
  return `Share ${left.length === 1 ? '' : `${left.slice(0, -1).join(', ')} and `}${left.at(-1)}`;
}

/** What the token says about its bearer, only to show it before joining: the server is who checks it. */
export function peekIntoToken(token: string): { readonly identity: string; readonly grants: readonly string[] } {
  try {
    const payload = token.split('.')[1] ?? '';
    const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    const grants = Array.isArray(claims['grants']) ? claims['grants'].filter((grant) => typeof grant === 'string') : [];
    return { identity: typeof claims['identity'] === 'string' ? claims['identity'] : '', grants };
  } catch {
    return { identity: '', grants: [] };
  }
}
