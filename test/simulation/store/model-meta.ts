import type { StoreMeta } from "#pkg/store/index.ts";
import type { ModelState } from "./model-state.ts";

/** The model has no schema; the number is what any level of code starts with. */
const LEVEL = 1;

export function readMeta(state: ModelState): StoreMeta {
  const { deploymentId, keyFingerprint } = state;
  return { deploymentId, keyFingerprint, schemaVersion: LEVEL, oldestLevel: LEVEL };
}

export function setKeyFingerprint(state: ModelState, expected: string | undefined, next: string): boolean {
  if (state.keyFingerprint !== expected) return false;
  state.keyFingerprint = next;
  return true;
}
