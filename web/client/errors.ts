// An error as the wire and the API name it: a code that programs compare and a message that people read.

export const errorCodes = [
  'invalid_argument', 'invalid_state', 'malformed', 'unauthorized', 'forbidden', 'not_found', 'limit_exceeded',
  'unsupported', 'timeout', 'disconnected', 'fingerprint_mismatch', 'storage', 'internal', 'media_unreachable',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface AmphiError {
  readonly code: ErrorCode;
  readonly message: string;
}

export const makeError = (code: ErrorCode, message: string): AmphiError => ({ code, message });

/** An error off the wire: a code that a newer server may know and we do not is taken for `internal`. */
export const errorFromWire = (error: { readonly code: string; readonly message: string }): AmphiError => {
  const known = errorCodes.find((code) => code === error.code);
  return makeError(known ?? 'internal', error.message);
};

/** What a call gives that can be refused here and now. */
export type Result = { readonly ok: true } | { readonly ok: false; readonly error: AmphiError };

export const success: Result = { ok: true };
export const failure = (code: ErrorCode, message: string): Result => ({ ok: false, error: makeError(code, message) });
