const MAX_TARGET = 512;
/** What the clouds' own names are made of, all of them together; none of them begins with a sign. */
const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9._:-]*$/;

/** The parts of a target behind the provider's name. */
const TARGETS: Readonly<Record<string, readonly string[]>> = {
  gcp: ["project", "region"],
  aws: ["account", "region", "queue"],
  azure: ["account host", "pool"],
  local: ["machine id", "hash of the workdir"],
};

/** What is wrong with a target, or undefined when it is one. Whether any worker serves it is another matter. */
export function targetFault(target: string): string | undefined {
  const [provider = "", ...parts] = target.split("/");
  const names = Object.hasOwn(TARGETS, provider) ? TARGETS[provider] : undefined;
  if (names === undefined) return "must begin with gcp/, aws/, azure/ or local/";
  if (target.length > MAX_TARGET) return `must be at most ${MAX_TARGET} characters`;
  const wellFormed = parts.length === names.length && parts.every((part) => SEGMENT.test(part));
  return wellFormed ? undefined : `must be ${[provider, ...names.map((name) => `<${name}>`)].join("/")}`;
}
