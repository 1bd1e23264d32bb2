import { AWS, AZURE, type CloudRules, GCP } from "#test/simulation/cloud/rules.ts";
import { CallFault } from "#test/simulation/kernel/chaos.ts";
import { createDice, type Dice } from "#test/simulation/kernel/dice.ts";

/** What one seed makes of the world, before anything happens. */
export interface Setting {
  readonly seed: number;
  readonly store: "model" | "sqlite";
  readonly ttlMs: number;
  readonly claimIntervalMs: number;
  readonly machines: readonly MachineSetting[];
  readonly clouds: readonly { readonly target: string; readonly rules: CloudRules }[];
  readonly workers: readonly WorkerSetting[];
  readonly gateways: readonly { readonly name: string; readonly machine: string }[];
  readonly odds: ReadonlyMap<CallFault, number>;
  /** From this moment on nothing new goes wrong. */
  readonly faultsEndMs: number;
  readonly jobs: readonly JobPlan[];
  readonly accidents: readonly Accident[];
}

export interface MachineSetting {
  readonly name: string;
  /** How fast its monotonic clock goes. */
  readonly rate: number;
  /** How far its wall clock is ahead. */
  readonly offsetMs: number;
}

export interface WorkerSetting {
  readonly name: string;
  readonly machine: string;
  readonly targets: readonly string[];
  readonly maxActiveJobs: number;
}

/** One job that a caller submits, and what it does then. */
export interface JobPlan {
  readonly id: string;
  readonly tenant: string;
  readonly gateway: number;
  readonly atMs: number;
  readonly idempotencyKey: string | undefined;
  /** The job's own target; undefined leaves it to the worker. */
  readonly target: string | undefined;
  readonly runsMs: number;
  /** So many attempts fail. */
  readonly failures: number;
  readonly maxRetries: number;
  /** The cloud refuses it for good. */
  readonly isRefused: boolean;
  /** Each of its batch jobs loses its host before the program starts, which is a retry that costs nothing. */
  readonly neverStarts: boolean;
  readonly notBeforeMs: number | undefined;
  readonly priority: number;
  readonly waitSeconds: number;
  /** Its environment; the values are secrets. */
  readonly env: Readonly<Record<string, string>>;
  /** How often the caller tries again when it got no answer. */
  readonly tries: number;
  /** The caller goes away this long after it asked; undefined: it waits. */
  readonly hangsUpAfterMs: number | undefined;
  readonly acts: readonly CallerAct[];
}

/** What any caller may do before it knows its job's id. */
export const CallerHabit = { Submit: "submit", TryAgain: "try again", HangUp: "hang up" } as const;

/** What a caller does with a job whose id it knows, so long after it was told the id. */
export interface CallerAct {
  readonly id: string;
  readonly kind: "cancel" | "delete" | "retry" | "get" | "list" | "repeat" | "spy";
  readonly afterMs: number;
}

/** Something that befalls a process, a machine or a link. */
export interface Accident {
  readonly id: string;
  readonly kind:
    | "crash"
    | "replace"
    | "drain"
    | "freeze"
    | "twin"
    | "suspend"
    | "jump"
    | "cut"
    | "one-way cut"
    | "store outage"
    | "gateway crash";
  readonly atMs: number;
  readonly forMs: number;
  /** In [0, 1): which worker, machine or link. */
  readonly which: number;
  readonly other: number;
}

/** Monotonic clocks go right to within this share; the trust's margin is a tenth of the TTL. */
export const LARGEST_DRIFT = 0.04;
/** Wall clocks are off by at most this, and are put wrong or right by at most this. */
export const LARGEST_OFFSET_MS = 20_000;

/** Stands in every value of a simulated job's environment, and nowhere else. */
export const ENV_MARKER = "a value of a simulated environment";
export const ENV_NAME = "SECRET";

const CLOUDS: readonly { readonly target: string; readonly rules: CloudRules }[] = [
  { target: "gcp/p/r1", rules: GCP },
  { target: "gcp/p/r2", rules: GCP },
  { target: "aws/1/r1/q", rules: AWS },
  { target: "azure/a/p", rules: AZURE },
];

/** As often as it is to be drawn. */
export const ACCIDENTS: readonly Accident["kind"][] = [
  "crash",
  "crash",
  "crash",
  "replace",
  "drain",
  "drain",
  "freeze",
  "freeze",
  "twin",
  "suspend",
  "jump",
  "cut",
  "one-way cut",
  "store outage",
  "gateway crash",
];

/** What a machine's clocks may be from the beginning. */
export const ClockFault = { Rate: "monotonic clock off its rate", Offset: "wall clock off" } as const;

/** The share of jobs whose batch jobs all lose their hosts. */
const NEVER_STARTS = 0.0015;

/** One seed in so many runs on the real SQLite operations. */
const SQLITE_EVERY = 100;

/**
 * Each seed switches most kinds of fault off and turns some up, so that rare combinations get a world in which nothing else
 * drowns them (Groce et al., "Swarm Testing", ISSTA 2012).
 */
export function drawSetting(seed: number): Setting {
  const dice = createDice(seed);
  const among = <T>(purpose: string, values: readonly T[]): T => {
    const value = values[Math.floor(dice.next(purpose) * values.length)];
    if (value === undefined) throw new Error(`nothing to draw ${purpose} from`);
    return value;
  };
  const between = (purpose: string, low: number, high: number) => low + dice.next(purpose) * (high - low);

  const clouds = drawClouds(dice);
  const faultsEndMs = Math.round(between("faults end", 5_000, 45_000));
  const machines = Array.from({ length: 1 + Math.floor(dice.next("machines") * 3) }, (_, index) => ({
    name: `machine-${index + 1}`,
    rate: dice.next("drifts") < 0.5 ? 1 : 1 + between("drift", -LARGEST_DRIFT, LARGEST_DRIFT),
    offsetMs:
      dice.next("is off") < 0.5 ? 0 : Math.round(between("offset", -LARGEST_OFFSET_MS, LARGEST_OFFSET_MS)),
  }));
  const targets = clouds.map(({ target }) => target);
  const workerCount = among("workers", [1, 2, 2, 2, 3, 3, 4, 5, 7]);
  const workers = Array.from({ length: workerCount }, (_, index) => ({
    name: `worker-${index + 1}`,
    machine: among("machine", machines).name,
    targets: drawTargets(dice, targets, index, workerCount),
    maxActiveJobs: dice.next("is small") < 0.15 ? 2 : 1_000,
  }));
  const gateways = Array.from({ length: among("gateways", [1, 1, 2, 3]) }, (_, index) => ({
    name: `gateway-${index + 1}`,
    machine: among("machine", machines).name,
  }));
  // A machine that wakes with its wall clock set back does not see how long it slept: no lease on clocks withstands that.
  const hasJumps = dice.next("has jumps") < 0.5;
  const accidentKinds = ACCIDENTS.filter((kind) => kind !== (hasJumps ? "suspend" : "jump"));
  return {
    seed,
    store: seed % SQLITE_EVERY === 0 ? "sqlite" : "model",
    ttlMs: among("ttl", [3_000, 3_000, 6_000, 9_000]),
    claimIntervalMs: among("claim interval", [2_000, 2_000, 4_000]),
    machines,
    clouds,
    workers,
    gateways,
    odds: drawOdds(dice),
    faultsEndMs,
    jobs: drawJobs(dice, targets, gateways.length, faultsEndMs),
    accidents: Array.from({ length: among("accidents", [0, 0, 1, 1, 2, 3, 4, 6]) }, (_, index) => ({
      id: `accident-${index + 1}`,
      kind: among("accident", accidentKinds),
      atMs: Math.round(between("accident at", 200, faultsEndMs)),
      forMs: Math.round(100 * 900 ** dice.next("accident for")),
      which: dice.next("accident which"),
      other: dice.next("accident other"),
    })),
  };
}

function drawClouds(dice: Dice): Setting["clouds"] {
  const first = CLOUDS[Math.floor(dice.next("cloud") * CLOUDS.length)];
  const others = CLOUDS.filter((cloud) => cloud !== first && dice.next("another cloud") < 0.15);
  return first === undefined ? others : [first, ...others];
}

/** Each target is served by somebody, some by more. */
function drawTargets(
  dice: Dice,
  targets: readonly string[],
  index: number,
  workers: number,
): readonly string[] {
  const isOwn = (which: number) => which % workers === index || index % targets.length === which;
  const more = targets.filter((_, which) => !isOwn(which) && dice.next("serves too") < 0.5);
  return [...targets.filter((_, which) => isOwn(which)), ...more];
}

function drawOdds(dice: Dice): ReadonlyMap<CallFault, number> {
  const odds = new Map<CallFault, number>();
  for (const fault of Object.values(CallFault)) {
    const isRead = fault === CallFault.FreezeAtRead;
    // A worker reads several times a second; to be frozen at each would be to do nothing at all.
    if (dice.next("is on") < 0.3) odds.set(fault, (isRead ? 0.001 : 0.004) * 100 ** dice.next("odds"));
  }
  return odds;
}

/** As often as it is to be drawn. */
export const ACTS: readonly CallerAct["kind"][] = [
  "cancel",
  "cancel",
  "cancel",
  "delete",
  "delete",
  "retry",
  "get",
  "list",
  "repeat",
  "repeat",
  "spy",
];

function drawJobs(
  dice: Dice,
  targets: readonly string[],
  gateways: number,
  faultsEndMs: number,
): readonly JobPlan[] {
  const count = 1 + Math.floor(dice.next("jobs") ** 2 * 9);
  return Array.from({ length: count }, (_, index): JobPlan => {
    const id = `job-${index + 1}`;
    const draw = (what: string) => dice.next(`job ${what}`);
    // Seldom, because the backoffs between its attempts last for twenty minutes in which nothing else happens.
    const neverStarts = draw("never starts") < NEVER_STARTS;
    const tenant = draw("tenant") < 0.6 ? "tenant-1" : `tenant-${1 + Math.floor(draw("tenant") * 5)}`;
    return {
      id,
      tenant,
      gateway: Math.floor(draw("gateway") * gateways),
      atMs: Math.round(draw("at") * faultsEndMs * 0.8),
      idempotencyKey: draw("has key") < 0.5 ? `key-${1 + Math.floor(draw("key") * 6)}` : undefined,
      target: draw("names target") < 0.3 ? targets[Math.floor(draw("target") * targets.length)] : undefined,
      // Some for longer than it takes until a batch job that is missing may be given up.
      runsMs: Math.round(
        draw("is long") < 0.06 ? 100_000 + draw("runs") * 200_000 : 100 * 300 ** draw("runs"),
      ),
      failures: draw("fails") < 0.3 ? Math.floor(draw("failures") * 4) : 0,
      // More would make one that never starts last for longer than a world may take to come to rest.
      maxRetries: draw("retries") < 0.4 && !neverStarts ? Math.floor(draw("max retries") * 4) : 0,
      isRefused: draw("is refused") < 0.1,
      neverStarts,
      notBeforeMs: draw("is later") < 0.1 ? Math.round(draw("not before") * 15_000) : undefined,
      priority: Math.floor(draw("priority") * 11),
      waitSeconds: draw("waits") < 0.5 ? 0 : 5,
      env: index % 2 === 0 ? { [ENV_NAME]: `${ENV_MARKER} of ${id}` } : {},
      tries: 1 + Math.floor(draw("tries") * 3),
      hangsUpAfterMs: draw("hangs up") < 0.15 ? Math.round(draw("patience") * 3_000) : undefined,
      acts: drawActs(dice, id),
    };
  });
}

function drawActs(dice: Dice, job: string): readonly CallerAct[] {
  const count = Math.floor(dice.next("acts") * 4);
  return Array.from({ length: count }, (_, index) => index).flatMap((index) => {
    const kind = ACTS[Math.floor(dice.next("act") * ACTS.length)] ?? "get";
    const afterMs = Math.round(10 * 10_000 ** dice.next("act after"));
    const act = { id: `${job} act-${index + 1}`, kind, afterMs };
    // Some ask twice, as people do who see nothing happen.
    const again = { ...act, id: `${act.id} again`, afterMs: afterMs + Math.round(dice.next("again") * 100) };
    return dice.next("asks twice") < 0.3 ? [act, again] : [act];
  });
}
