/** What a machine type has. */
export interface MachineType {
  readonly name: string;
  readonly cpuMillis: number;
  readonly memoryMib: number;
}

const GIB = 1024;

function family(name: string, gibPerCpu: number, cpus: readonly number[]): readonly MachineType[] {
  return cpus.map((count) => ({
    name: `${name}-${count}`,
    cpuMillis: count * 1000,
    memoryMib: Math.floor(count * gibPerCpu * GIB),
  }));
}

/** General-purpose types that every region has; of two alike the first is taken, and E2 costs less than N2. */
const GENERAL: readonly MachineType[] = [
  ...family("e2-highcpu", 1, [2, 4, 8, 16, 32]),
  ...family("e2-standard", 4, [2, 4, 8, 16, 32]),
  ...family("e2-highmem", 8, [2, 4, 8, 16]),
  ...family("n2-highcpu", 1, [2, 4, 8, 16, 32, 48, 64, 80, 96]),
  ...family("n2-standard", 4, [2, 4, 8, 16, 32, 48, 64, 80, 96, 128]),
  ...family("n2-highmem", 8, [2, 4, 8, 16, 32, 48, 64, 80]),
  { name: "n2-highmem-96", cpuMillis: 96_000, memoryMib: 768 * GIB },
  { name: "n2-highmem-128", cpuMillis: 128_000, memoryMib: 864 * GIB },
];

/** N1 is the one general-purpose family that GPUs are attached to. */
const N1: readonly MachineType[] = [
  ...family("n1-standard", 3.75, [1, 2, 4, 8, 16, 32, 64, 96]),
  ...family("n1-highmem", 6.5, [2, 4, 8, 16, 32, 64, 96]),
];

/**
 * Types that are never chosen, but known where a job names them. The shared ones have less of their vCPUs than is told here,
 * and take jobs that ask for all of them.
 */
const NAMED_ONLY: readonly MachineType[] = [
  ...family("n1-highcpu", 0.9, [2, 4, 8, 16, 32, 64, 96]),
  { name: "e2-micro", cpuMillis: 2_000, memoryMib: GIB },
  { name: "e2-small", cpuMillis: 2_000, memoryMib: 2 * GIB },
  { name: "e2-medium", cpuMillis: 2_000, memoryMib: 4 * GIB },
  { name: "f1-micro", cpuMillis: 1_000, memoryMib: 614 },
  { name: "g1-small", cpuMillis: 1_000, memoryMib: 1_740 },
];

/** N1 types up to a number of vCPUs. What Compute Engine limits by memory too comes to the same types. */
function n1UpTo(cpus: number): readonly MachineType[] {
  return N1.filter(({ cpuMillis }) => cpuMillis <= cpus * 1000);
}

function gpuType(name: string, cpus: number, memoryGib: number): MachineType {
  return { name, cpuMillis: cpus * 1000, memoryMib: memoryGib * GIB };
}

/** Machine types by kind of GPU and count. On N1, a GPU goes with so many vCPUs at most ("GPU machine types", Compute Engine). */
const GPUS: Readonly<Record<string, Readonly<Record<number, readonly MachineType[]>>>> = {
  "nvidia-tesla-t4": { 1: n1UpTo(48), 2: n1UpTo(48), 4: n1UpTo(96) },
  "nvidia-tesla-p4": { 1: n1UpTo(24), 2: n1UpTo(48), 4: n1UpTo(96) },
  // Four go with 64 at most in a few zones; Batch picks the zone.
  "nvidia-tesla-p100": { 1: n1UpTo(16), 2: n1UpTo(32), 4: n1UpTo(96) },
  "nvidia-tesla-v100": { 1: n1UpTo(12), 2: n1UpTo(24), 4: n1UpTo(48), 8: n1UpTo(96) },
  "nvidia-l4": {
    1: [
      gpuType("g2-standard-4", 4, 16),
      gpuType("g2-standard-8", 8, 32),
      gpuType("g2-standard-12", 12, 48),
      gpuType("g2-standard-16", 16, 64),
      gpuType("g2-standard-32", 32, 128),
    ],
    2: [gpuType("g2-standard-24", 24, 96)],
    4: [gpuType("g2-standard-48", 48, 192)],
    8: [gpuType("g2-standard-96", 96, 384)],
  },
  "nvidia-tesla-a100": {
    1: [gpuType("a2-highgpu-1g", 12, 85)],
    2: [gpuType("a2-highgpu-2g", 24, 170)],
    4: [gpuType("a2-highgpu-4g", 48, 340)],
    8: [gpuType("a2-highgpu-8g", 96, 680)],
    16: [gpuType("a2-megagpu-16g", 96, 1360)],
  },
  "nvidia-a100-80gb": {
    1: [gpuType("a2-ultragpu-1g", 12, 170)],
    2: [gpuType("a2-ultragpu-2g", 24, 340)],
    4: [gpuType("a2-ultragpu-4g", 48, 680)],
    8: [gpuType("a2-ultragpu-8g", 96, 1360)],
  },
  "nvidia-h100-80gb": {
    1: [gpuType("a3-highgpu-1g", 26, 234)],
    2: [gpuType("a3-highgpu-2g", 52, 468)],
    4: [gpuType("a3-highgpu-4g", 104, 936)],
    8: [gpuType("a3-highgpu-8g", 208, 1872)],
  },
};

/** The kind of GPU where a job names none: the one that most regions have. */
export const DEFAULT_GPU = "nvidia-tesla-t4";

export interface Need {
  readonly cpuMillis: number;
  readonly memoryMib: number;
  readonly gpuCount: number;
  /** "" is `DEFAULT_GPU`. */
  readonly gpuType: string;
}

/** The kinds of GPU that a machine type is chosen for. */
export const GPU_TYPES: readonly string[] = Object.keys(GPUS);

/** The machine types that have so many of a kind of GPU; empty when there are none, or the kind is not one of `GPU_TYPES`. */
export function machinesWith(type: string, count: number): readonly MachineType[] {
  return (Object.hasOwn(GPUS, type) && GPUS[type]?.[count]) || [];
}

/** The counts in which a kind of GPU comes; empty when it is not one of `GPU_TYPES`. */
export function gpuCounts(type: string): readonly number[] {
  return Object.hasOwn(GPUS, type) ? Object.keys(GPUS[type] ?? {}).map(Number) : [];
}

/** The smallest machine type that has what is needed; undefined when none of the table has. */
export function smallestFor(need: Need): string | undefined {
  const types = need.gpuCount === 0 ? GENERAL : machinesWith(need.gpuType || DEFAULT_GPU, need.gpuCount);
  const fitting = types.filter(
    (type) => type.cpuMillis >= need.cpuMillis && type.memoryMib >= need.memoryMib,
  );
  return [...fitting].sort((a, b) => a.cpuMillis - b.cpuMillis || a.memoryMib - b.memoryMib)[0]?.name;
}

/** Families whose machines come with GPUs, and take no others. */
const WITH_OWN_GPUS = /^(?:g2|g4|a2|a3|a4x?)-/;

/** The GPUs that a machine type comes with, as far as that is known. */
export interface OwnGpus {
  readonly type: string | undefined;
  readonly count: number | undefined;
}

const OWN_GPUS = new Map<string, OwnGpus>();
const KNOWN = new Map([...GENERAL, ...N1, ...NAMED_ONLY].map((type) => [type.name, type]));
for (const [type, byCount] of Object.entries(GPUS)) {
  for (const [count, machines] of Object.entries(byCount)) {
    for (const machine of machines) {
      KNOWN.set(machine.name, machine);
      if (WITH_OWN_GPUS.test(machine.name)) OWN_GPUS.set(machine.name, { type, count: Number(count) });
    }
  }
}

/** What a machine type has; undefined for one that is not known here, which says nothing against it. */
export function sizeOf(name: string): MachineType | undefined {
  return KNOWN.get(name);
}

/** The GPUs that a machine type comes with; undefined for one that comes with none. */
export function ownGpusOf(name: string): OwnGpus | undefined {
  if (!WITH_OWN_GPUS.test(name)) return undefined;
  const [, count] = /-(\d+)g(?:-|$)/.exec(name) ?? [];
  return OWN_GPUS.get(name) ?? { type: undefined, count: count === undefined ? undefined : Number(count) };
}
