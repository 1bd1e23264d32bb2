/**
 * A setting's value as an error may show it: what stands before an `@`, where a URL has its user and password, is masked.
 * Rather too much than too little: a password may hold any character, a slash and another `@` among them.
 */
export function quoted(value: string): string {
  return JSON.stringify(value.replace(BEFORE_AT, "$<kept>***@"));
}

/** `name=` and `scheme://` stay, since they tell which of several values is meant; a scheme alone shows that it is a URL. */
const BEFORE_AT = /^(?<kept>(?:[^=:/@]*=)?[A-Za-z][A-Za-z0-9+.-]*:\/\/)?.*@/s;

/** Whether a URL has a user or a password; where it has no host, or is too broken to tell, an `@` is taken for one. */
export function holdsCredentials(url: string): boolean {
  const parsed = URL.parse(url);
  return parsed === null || parsed.host === ""
    ? url.includes("@")
    : parsed.username !== "" || parsed.password !== "";
}
