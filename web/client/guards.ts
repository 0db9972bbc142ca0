// Small checks on values that came out of JSON.parse: what the message guards are made of. They are as strict as the
// schemas in protocol/; the tests hold the two against each other.

export type Json = Readonly<Record<string, unknown>>;
export type Check = (value: unknown) => boolean;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const isFlag: Check = (value) => typeof value === 'boolean';

/** Lengths are in code points, as in JSON Schema. */
export const isText = (minimum: number, maximum: number): Check => (value) => {
  if (typeof value !== 'string' || value.length < minimum) return false;
  return value.length <= maximum || [...value].length <= maximum;
};
export const isCount = (minimum = 0, maximum = Number.MAX_SAFE_INTEGER): Check => (value) =>
  Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum;
export const isOneOf = (...choices: readonly unknown[]): Check => (value) => choices.includes(value);
export const isListOf = (item: Check, maximum: number): Check => (value) =>
  Array.isArray(value) && value.length <= maximum && value.every((entry) => item(entry));
export const optional = (check: Check): Check => (value) => value === undefined || check(value);

/** An object whose named fields pass; fields that are not named are a newer peer's, and ignored. */
export const isShape = (fields: Readonly<Record<string, Check>>): Check => (value) =>
  isObject(value) && Object.entries(fields).every(([name, check]) => check(value[name]));

export const isId = isText(1, 128);
export const isCode: Check = (value) => typeof value === 'string' && /^[a-z_]{1,64}$/.test(value);
export const isMessage = isText(0, 1024);
export const isError = isShape({ code: isCode, message: isMessage });
export const isErrorMessage = isShape({
  code: isCode, message: isMessage, fatal: isFlag, inReplyTo: optional(isText(0, 64)), transport: optional(isOneOf('publishing', 'subscribing')),
});
export const isClosing = isShape({ reason: isMessage, mayReturn: optional(isFlag) });

export type Parsed<T> =
  | { readonly kind: 'message'; readonly message: T }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'unknown_type' };

/** Text from the network into one of the messages that `guards` knows; everything else is named, never thrown. */
export function parseMessage<T>(text: string, maximum: number, guards: Readonly<Record<string, Check>>): Parsed<T> {
  if (text.length > maximum) return { kind: 'malformed' };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'malformed' };
  }
  if (!isObject(value) || typeof value['type'] !== 'string') return { kind: 'malformed' };
  const guard = Object.hasOwn(guards, value['type']) ? guards[value['type']] : undefined;
  if (guard === undefined) return { kind: 'unknown_type' };
  return guard(value) ? { kind: 'message', message: value as T } : { kind: 'malformed' };
}
