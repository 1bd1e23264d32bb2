import { z } from "zod";
import type { Reader } from "#pkg/config/index.ts";

const KEY_BYTES = 32;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

/**
 * Reads `SECRETS_KEY`: keys of 32 bytes in base64 (either alphabet), split by commas. The first seals, all open. The
 * value never appears in an error.
 */
export function secretsKey(): Reader<readonly Uint8Array[]> {
  const words = `must be ${KEY_BYTES} bytes in base64, or several split by commas`;
  const schema = z.string({ error: "is required" }).transform((text, context): readonly Uint8Array[] => {
    const keys = text.split(",").map((part) => decode(part.trim()));
    const sound = keys.filter((key) => key !== undefined);
    if (sound.length === keys.length) return sound;
    context.addIssue({ code: "custom", message: words });
    return z.NEVER;
  });
  return { aliases: [], schema, isSecret: true };
}

function decode(text: string): Uint8Array | undefined {
  if (!BASE64.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  return bytes.byteLength === KEY_BYTES ? bytes : undefined;
}
