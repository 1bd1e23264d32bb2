/**
 * Why a text cannot be taken, or undefined when it can. NUL ends a string for every kernel and many databases, and a lone
 * surrogate has no UTF-8 form, so either would arrive somewhere as something else than was sent.
 */
export function textFault(text: string): string | undefined {
  if (text.includes("\0")) return "must not contain NUL";
  if (!text.isWellFormed()) return "must be well-formed Unicode";
  return undefined;
}

/** Length in characters (code points), as people count them. */
export function lengthInCharacters(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** A key or name of the caller's as an error shows it: quoted, with control characters escaped, and cut where it is long. */
export function quoted(name: string): string {
  const LONGEST_SHOWN = 64;
  return JSON.stringify(name.length > LONGEST_SHOWN ? `${name.slice(0, LONGEST_SHOWN)}…` : name);
}
