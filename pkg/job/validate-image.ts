/** Longest reference that is looked at; a name of 255, a tag of 128 and the longest digest stay well below. */
const MAX_REFERENCE = 1024;
/** As the distribution grammar has it, for the part before tag and digest. */
const MAX_NAME = 255;

const DOMAIN_LABEL = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const HOST = `(?:${DOMAIN_LABEL}(?:\\.${DOMAIN_LABEL})*|\\[[a-fA-F0-9:]+\\])`;
const PATH_PART = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const NAME = `(?:${HOST}(?::[0-9]+)?/)?${PATH_PART}(?:/${PATH_PART})*`;
const TAG = "[\\w][\\w.-]{0,127}";
const DIGEST = "[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
const REFERENCE = new RegExp(`^(${NAME})(?::${TAG})?(?:@(${DIGEST}))?$`);

/** Hex digits of the digests whose length everyone knows. */
const DIGEST_DIGITS: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

/**
 * What is wrong with a container image reference, or undefined when it is one:
 * `[domain[:port]/]path[:tag][@digest]` as the OCI distribution project defines it.
 */
export function imageFault(image: string): string | undefined {
  if (image === "") return "is required";
  const malformed =
    "must be an image reference: [registry/]repository[:tag][@digest], the repository in lower case";
  if (image.length > MAX_REFERENCE) return `must be at most ${MAX_REFERENCE} characters`;
  const [, name, digest] = REFERENCE.exec(image) ?? [];
  if (name === undefined) return malformed;
  if (name.length > MAX_NAME) return `must have a registry and repository of at most ${MAX_NAME} characters`;
  if (digest === undefined) return undefined;
  const [algorithm = "", hex = ""] = digest.split(":");
  const digits = Object.hasOwn(DIGEST_DIGITS, algorithm) ? DIGEST_DIGITS[algorithm] : undefined;
  if (digits !== undefined && hex.length !== digits) {
    return `must have a ${algorithm} digest of ${digits} hexadecimal digits`;
  }
  return undefined;
}
