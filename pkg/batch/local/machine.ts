import { createHash } from "node:crypto";
import { accessSync, constants, linkSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Entropy } from "#pkg/clock/index.ts";
import { makeFolder } from "#pkg/config/index.ts";
import { ExitCode, errorMessage, StartupError } from "#pkg/errors/index.ts";

/**
 * Makes the workdir if it is not there, and says what it is called among all workdirs of all machines: its real path and
 * its target.
 * @throws StartupError when the workdir cannot be made, read or written.
 */
export function locateWorkdir(workdir: string, entropy: Entropy): { path: string; target: string } {
  try {
    makeFolder(workdir, 0o700);
    const path = realpathSync(workdir);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    const hash = createHash("sha256").update(path).digest("hex").slice(0, 16);
    return { path, target: `local/${machineId(path, entropy)}/${hash}` };
  } catch (error) {
    throw new StartupError(
      `LOCAL_WORKDIR: ${workdir} cannot be used: ${errorMessage(error)}`,
      ExitCode.Config,
      { cause: error },
    );
  }
}

/** systemd's and D-Bus's id where there is one; else a random one, kept in the workdir by whoever comes first. */
function machineId(workdir: string, entropy: Entropy): string {
  const own = join(workdir, "machine-id");
  return readId("/etc/machine-id") ?? readId(own) ?? makeId(own, entropy);
}

function readId(path: string): string | undefined {
  try {
    return /^[0-9a-f]{32}$/.exec(readFileSync(path, "utf8").trim())?.[0];
  } catch {
    // Absent or unreadable: the next place is asked, and in the end one is made, which fails with its own words.
    return undefined;
  }
}

function makeId(path: string, entropy: Entropy): string {
  const id = Buffer.from(entropy.bytes(16)).toString("hex");
  const draft = `${path}.${id}`;
  writeFileSync(draft, `${id}\n`, { flag: "wx", mode: 0o600 });
  try {
    linkSync(draft, path);
    return id;
  } catch (error) {
    // Another worker of this workdir was first; its id is everyone's.
    const theirs = readId(path);
    if (theirs === undefined) throw error;
    return theirs;
  } finally {
    rmSync(draft, { force: true });
  }
}
