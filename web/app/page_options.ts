// What this server allows its page, which no link can change: it comes from the server's own address.

export interface PageOptions {
  /** Kiosks (`amphi-server --allow-autopublish`): a link with `?publish=…` shares devices without a click. */
  readonly allowAutopublish: boolean;
}

const nothingAllowed: PageOptions = { allowAutopublish: false };

export function readPageOptions(answer: unknown): PageOptions {
  if (typeof answer !== 'object' || answer === null) return nothingAllowed;
  return { allowAutopublish: (answer as Record<string, unknown>)['allowAutopublish'] === true };
}

/** Without an answer nothing is allowed. */
export async function fetchPageOptions(): Promise<PageOptions> {
  try {
    const response = await fetch('/page.json', { cache: 'no-store', redirect: 'error', signal: AbortSignal.timeout(5_000) });
    return response.ok ? readPageOptions(await response.json()) : nothingAllowed;
  } catch {
    return nothingAllowed;
  }
}
