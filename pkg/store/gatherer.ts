import { InvariantError, UnavailableError } from "#pkg/errors/index.ts";

export interface GathererOptions<Item, Result> {
  readonly maxGroup: number;
  /** One result for each item, in order. */
  commit(items: readonly Item[]): Promise<readonly Result[]>;
  /** Tenant, then key or id. */
  orderOf(item: Item): readonly [string, string];
  /** Whether two items of one place in the order may stand in one group. */
  readonly mayShareGroup: boolean;
  /** Whether members of a group that failed with this error are tried alone. */
  isWorthAsking(error: unknown): boolean;
}

export interface Gatherer<Item, Result> {
  /** One result for each item, in order; rejects when any of them was refused alone. */
  submit(items: readonly Item[]): Promise<readonly Result[]>;
}

interface Member<Item, Result> {
  readonly item: Item;
  readonly order: readonly [string, string];
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/** Gathers what comes while a commit is under way. See `createGatheredStore` for what it promises. */
export function createGatherer<Item, Result>(options: GathererOptions<Item, Result>): Gatherer<Item, Result> {
  type M = Member<Item, Result>;
  let waiting: M[] = [];
  let isCommitting = false;

  /** The oldest that may go together, sorted; the rest keeps its order. */
  function nextGroup(): M[] {
    const group: M[] = [];
    const rest: M[] = [];
    const places = new Set<string>();
    for (const member of waiting) {
      const place = JSON.stringify(member.order);
      const fits = group.length < options.maxGroup && (options.mayShareGroup || !places.has(place));
      (fits ? group : rest).push(member);
      places.add(place);
    }
    waiting = rest;
    return group.sort(byOrder);
  }

  async function commitAll(): Promise<void> {
    if (isCommitting) return;
    isCommitting = true;
    while (waiting.length > 0) await commitGroup(nextGroup());
    isCommitting = false;
  }

  async function commitGroup(group: readonly M[]): Promise<void> {
    try {
      const results = await options.commit(group.map((member) => member.item));
      settle(group, results);
    } catch (error) {
      if (options.isWorthAsking(error)) await askEach(group);
      else for (const member of group) member.reject(error);
    }
  }

  /** The first goes ahead, so that a store that is away is not asked by each; then all others at once. */
  async function askEach([first, ...others]: readonly M[]): Promise<void> {
    if (first === undefined) return;
    const error = await askAlone(first);
    if (error instanceof UnavailableError) for (const member of others) member.reject(error);
    else await Promise.all(others.map(askAlone));
  }

  /** Settles the member; also tells the error, if there was one. */
  async function askAlone(member: M): Promise<unknown> {
    try {
      settle([member], await options.commit([member.item]));
      return undefined;
    } catch (error) {
      member.reject(error);
      return error;
    }
  }

  return {
    submit(items) {
      const results = items.map(
        (item) =>
          new Promise<Result>((resolve, reject) => {
            waiting.push({ item, order: options.orderOf(item), resolve, reject });
          }),
      );
      void commitAll();
      return Promise.all(results);
    },
  };
}

function settle<Item, Result>(group: readonly Member<Item, Result>[], results: readonly Result[]): void {
  if (results.length !== group.length) throw new InvariantError("a store answers each member of a group");
  for (const [index, member] of group.entries()) {
    const result = results[index];
    if (result !== undefined) member.resolve(result);
  }
}

function byOrder<Item, Result>(a: Member<Item, Result>, b: Member<Item, Result>): number {
  const [[aTenant, aName], [bTenant, bName]] = [a.order, b.order];
  if (aTenant !== bTenant) return aTenant < bTenant ? -1 : 1;
  return aName === bName ? 0 : aName < bName ? -1 : 1;
}
