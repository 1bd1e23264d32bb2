import { refuse } from "./refusal.ts";

/** What a filter may ask about. */
export interface Filterable {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: string;
}

interface Equality {
  readonly field: string;
  readonly value: string;
}

const STATE = "status.state";
const LABELS = "labels.";

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
  /** Equalities of one field are one look into a set, since filters name a hundred jobs. */
  function any(): (job: Filterable) => boolean {
    const values = new Map<string, Set<string>>();
    const others: ((job: Filterable) => boolean)[] = [];
    for (;;) {
      const part = one();
      if (typeof part === "function") others.push(part);
      else values.set(part.field, (values.get(part.field) ?? new Set()).add(part.value));
      if (tokens[at] !== "OR") break;
      at += 1;
    }
    const equal = [...values].map(
      ([field, set]) =>
        (job: Filterable) =>
          set.has(fieldOf(job, field) ?? ""),
    );
    const parts = [...equal, ...others];
    return (job) => parts.some((part) => part(job));
  }
  function one(): Equality | ((job: Filterable) => boolean) {
    const token = tokens[at++] ?? invalid(text);
    if (token === "(") {
      const inner = all();
      if (tokens[at++] !== ")") invalid(text);
      return inner;
    }
    const [, field = "", value = ""] = /^(.*?)="(.*)"$/.exec(token) ?? invalid(text);
    if (field !== STATE && !field.startsWith(LABELS)) invalid(text);
    return { field, value };
  }

  if (tokens.length === 0) return () => true;
  const filter = all();
  if (at !== tokens.length) invalid(text);
  return filter;
}

function fieldOf(job: Filterable, field: string): string | undefined {
  return field === STATE ? job.state : job.labels[field.slice(LABELS.length)];
}

function invalid(text: string): never {
  return refuse("INVALID_ARGUMENT", `Invalid list filter: ${text.slice(0, 100)}`);
}
