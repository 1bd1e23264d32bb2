import { link, mkdir, open, readFile, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import type { Entropy } from "#pkg/clock/index.ts";
import { ExitCode, StartupError } from "#pkg/errors/index.ts";

const KEY_BYTES = 32;

/**
 * The key in the file at `path`, made if it is not there. It is written whole under another name and then linked, so that
 * of two makers one wins, and nobody ever reads half a key; only its owner may read the file.
 */
export async function readOrMakeKey(path: string, entropy: Entropy): Promise<Uint8Array> {
  const present = await readKey(path);
  if (present !== undefined) return present;
  await makeKey(path, entropy);
  const made = await readKey(path);
  if (made === undefined) throw new StartupError(`the key file ${path} vanished`, ExitCode.Failed);
  return made;
}

async function readKey(path: string): Promise<Uint8Array | undefined> {
  const bytes = await readFile(path).catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return undefined;
    throw new StartupError(`cannot read the key file ${path}`, ExitCode.Config, { cause: error });
  });
  if (bytes === undefined) return undefined;
  if (bytes.length !== KEY_BYTES) {
    throw new StartupError(
      `the key file ${path} holds ${bytes.length} bytes instead of ${KEY_BYTES}: restore it from a backup`,
      ExitCode.Config,
    );
  }
  return new Uint8Array(bytes);
}

async function makeKey(path: string, entropy: Entropy): Promise<void> {
  const draft = `${path}.${Buffer.from(entropy.bytes(8)).toString("hex")}`;
  await mkdir(dirname(path), { recursive: true });
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(entropy.bytes(KEY_BYTES));
    await file.sync();
    await file.close();
    await link(draft, path).catch((error: unknown) => {
      if (!hasCode(error, "EEXIST")) throw error;
    });
  } finally {
    await file.close();
    await unlink(draft);
  }
  await syncFolder(dirname(path));
}

/** A name is on the disk when its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === code;
}
