import { accessSync, constants } from "node:fs";
import { join } from "node:path";

/**
 * The title of a test that needs a command which not every machine has, and whether to run it: where the command is not on
 * PATH, the title says why the test was not run.
 */
export function needing(
  command: string,
  title: string,
): { readonly title: string; readonly isMissing: boolean } {
  const isMissing = !(process.env.PATH ?? "").split(":").some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  return { title: isMissing ? `${title} (not run: no ${command} found)` : title, isMissing };
}
