/** One change of a file's text. */
export interface Patch {
  /** From the project's root. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

/**
 * A deliberate bug: guards of the real code taken out of its text as it is loaded, in the simulation's process alone. No
 * switch for it stands in any production code.
 */
export interface Bug {
  /** What `--bug` takes. */
  readonly name: string;
  /** What it does, and which other guards it has to remove because they would hide it. */
  readonly says: string;
  readonly patches: readonly Patch[];
}
