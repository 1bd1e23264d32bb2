import { z } from "zod";
import type { Reader } from "./read-settings.ts";

const MISSING = "is required";

function reader<T>(schema: z.ZodType<T>): Reader<T> {
  return { aliases: [], schema, isSecret: false };
}

/** Any text that is not empty. */
export function text(): Reader<string> {
  return reader(z.string({ error: MISSING }));
}

/** The path of a file or a folder. A URL is none, and taken for one it would be made as a folder, its password in the name. */
export function path(): Reader<string> {
  const isUrl = (value: string) => /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(value);
  return reader(z.string({ error: MISSING }).refine((value) => !isUrl(value), "must be a path and no URL"));
}

/** A whole number within bounds, both included. */
export function integer(min: number, max: number): Reader<number> {
  const words = `must be a whole number from ${min} to ${max}`;
  return reader(
    z
      .string({ error: MISSING })
      .regex(/^-?\d+$/, words)
      .transform(Number)
      .refine((value) => Number.isSafeInteger(value) && value >= min && value <= max, words),
  );
}

/** A number of seconds, fractions allowed, that becomes milliseconds. Bounds are seconds, both included. */
export function seconds(min: number, max: number): Reader<number> {
  const words = `must be a number of seconds from ${min} to ${max}`;
  return reader(
    z
      .string({ error: MISSING })
      .regex(/^\d+(\.\d+)?$/, words)
      .transform(Number)
      .refine((value) => value >= min && value <= max, words)
      .transform((value) => Math.round(value * 1000)),
  );
}

/** `true` or `false`, in any case; 1 and 0 are accepted. */
export function boolean(): Reader<boolean> {
  const words = "must be true or false";
  return reader(
    z
      .string({ error: MISSING })
      .toLowerCase()
      .refine((value) => ["true", "false", "1", "0"].includes(value), words)
      .transform((value) => value === "true" || value === "1"),
  );
}

/** One of the given words, exactly. */
export function oneOf<const T extends string>(...words: readonly T[]): Reader<T> {
  return reader(
    z
      .string({ error: `${MISSING}: one of ${words.join(", ")}` })
      .refine(
        (value): value is T => (words as readonly string[]).includes(value),
        `must be one of ${words.join(", ")}`,
      ),
  );
}

/** Items split by commas or white space; empty items are dropped, and at least one must remain. */
export function list(): Reader<readonly string[]> {
  return reader(
    z
      .string({ error: MISSING })
      .transform((value) => value.split(/[\s,]+/).filter((item) => item !== ""))
      .refine((items) => items.length > 0, "must name at least one item"),
  );
}

/** The same setting, `undefined` where it is not set. */
export function optional<T>(inner: Reader<T>): Reader<T | undefined> {
  return whenUnset<T | undefined>(inner, undefined);
}

/** The same setting, with what it is where it is not set. */
export function withDefault<T>(inner: Reader<T>, value: T): Reader<T> {
  return whenUnset(inner, value);
}

// Not zod's `union`: that hides the inner schema's words behind "Invalid input".
function whenUnset<T>(inner: Reader<T>, value: T): Reader<T> {
  const schema = z.unknown().transform((given, context): T => {
    if (given === undefined) return value;
    const result = inner.schema.safeParse(given);
    if (result.success) return result.data;
    for (const { message } of result.error.issues) context.addIssue({ code: "custom", message });
    return z.NEVER;
  });
  return { ...inner, schema };
}

/** The same setting, also read from `names` where its own name is not set. */
export function alias<T>(inner: Reader<T>, ...names: readonly string[]): Reader<T> {
  return { ...inner, aliases: names };
}

/** The same setting, required only where `when` holds. */
export function required<T>(inner: Reader<T>, when: boolean): Reader<T | undefined> {
  return when ? inner : optional(inner);
}

/** The same setting, whose value no error shows. */
export function secret<T>(inner: Reader<T>): Reader<T> {
  return { ...inner, isSecret: true };
}
