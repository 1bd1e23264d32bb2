import { refuse } from "./refusal.ts";

/** What a filter may ask about. */
export interface Filterable {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: string;
}

/**
 * The part of the list filters that the field uses: `labels.<key>="…"` and `status.state="…"`, with AND, OR and brackets.
 * As in Google's filters OR binds closer than AND.
 */
export function parseFilter(text: string): (job: Filterable) => boolean {
  const tokens = text.match(/\(|\)|\bAND\b|\bOR\b|[A-Za-z_.-]+[\w.-]*="[^"]*"/g) ?? [];
  if (tokens.join("").replaceAll(/\s/g, "") !== text.replaceAll(/\s/g, "")) invalid(text);
  let at = 0;

  function all(): (job: Filterable) => boolean {
    const parts = [any()];
    while (tokens[at] === "AND") {
      at += 1;
      parts.push(any());
    }
    return (job) => parts.every((part) => part(job));
  }
  function any(): (job: Filterable) => boolean {
    const parts = [one()];
    while (tokens[at] === "OR") {
      at += 1;
      parts.push(one());
    }
    return (job) => parts.some((part) => part(job));
  }
  function one(): (job: Filterable) => boolean {
    const token = tokens[at++] ?? invalid(text);
    if (token === "(") {
      const inner = all();
      if (tokens[at++] !== ")") invalid(text);
      return inner;
    }
    const [, field = "", value = ""] = /^(.*?)="(.*)"$/.exec(token) ?? invalid(text);
    if (field === "status.state") return (job) => job.state === value;
    if (!field.startsWith("labels.")) invalid(text);
    return (job) => job.labels[field.slice("labels.".length)] === value;
  }

  if (tokens.length === 0) return () => true;
  const filter = all();
  if (at !== tokens.length) invalid(text);
  return filter;
}

function invalid(text: string): never {
  return refuse("INVALID_ARGUMENT", `Invalid list filter: ${text.slice(0, 100)}`);
}
