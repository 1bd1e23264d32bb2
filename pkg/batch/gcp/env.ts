/** A value of this form stands for a version of a secret in Secret Manager; the cloud puts it in, nobody else sees it. */
const PREFIX = "secret://";
const REFERENCE =
  /^projects\/[^/\s]+\/secrets\/[A-Za-z0-9_-]{1,255}\/versions\/(latest|[1-9]\d*|[A-Za-z][A-Za-z0-9_-]{0,62})$/;

/** A job's environment as the cloud takes it. */
export interface CloudEnvironment {
  readonly variables: Readonly<Record<string, string>>;
  /** Names of secret versions. */
  readonly secretVariables: Readonly<Record<string, string>>;
  /** Names of variables whose value begins like a reference and is none. */
  readonly malformed: readonly string[];
}

export function environmentOf(env: Readonly<Record<string, string>>): CloudEnvironment {
  const variables: Record<string, string> = {};
  const secretVariables: Record<string, string> = {};
  const malformed: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!value.startsWith(PREFIX)) {
      variables[name] = value;
      continue;
    }
    const reference = value.slice(PREFIX.length);
    if (REFERENCE.test(reference)) secretVariables[name] = reference;
    else malformed.push(name);
  }
  return { variables, secretVariables, malformed };
}
