/** What a machine type has. */
interface MachineType {
  readonly name: string;
  readonly cpuMillis: number;
  readonly memoryMib: number;
}

const GIB = 1024;

function family(name: string, gibPerCpu: number, cpus: readonly number[]): readonly MachineType[] {
  return cpus.map((count) => ({
    name: `${name}-${count}`,
    cpuMillis: count * 1000,
    memoryMib: count * gibPerCpu * GIB,
  }));
}

/** General-purpose types that every region has; E2 as far as it goes, since it costs least, then N2. */
const GENERAL: readonly MachineType[] = [
  ...family("e2-highcpu", 1, [2, 4, 8, 16, 32]),
  ...family("e2-standard", 4, [2, 4, 8, 16, 32]),
  ...family("e2-highmem", 8, [2, 4, 8, 16]),
  ...family("n2-highcpu", 1, [48, 64, 80, 96]),
  ...family("n2-standard", 4, [48, 64, 80, 96, 128]),
  ...family("n2-highmem", 8, [32, 48, 64, 80]),
  { name: "n2-highmem-96", cpuMillis: 96_000, memoryMib: 768 * GIB },
  { name: "n2-highmem-128", cpuMillis: 128_000, memoryMib: 864 * GIB },
];

/** N1 is the one general-purpose family that GPUs are attached to. */
const N1: readonly MachineType[] = [
  ...family("n1-standard", 3.75, [1, 2, 4, 8, 16, 32, 64, 96]),
  ...family("n1-highmem", 6.5, [2, 4, 8, 16, 32, 64, 96]),
];

function gpuType(name: string, cpus: number, memoryGib: number): MachineType {
  return { name, cpuMillis: cpus * 1000, memoryMib: memoryGib * GIB };
}

/** Machine types by kind of GPU and count. */
const GPUS: Readonly<Record<string, Readonly<Record<number, readonly MachineType[]>>>> = {
  "nvidia-tesla-t4": { 1: N1, 2: N1, 4: N1 },
  "nvidia-tesla-p4": { 1: N1, 2: N1, 4: N1 },
  "nvidia-tesla-p100": { 1: N1, 2: N1, 4: N1 },
  "nvidia-tesla-v100": { 1: N1, 2: N1, 4: N1, 8: N1 },
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

/** The counts in which a kind of GPU comes; empty when it is not one of `GPU_TYPES`. */
export function gpuCounts(type: string): readonly number[] {
  return Object.hasOwn(GPUS, type) ? Object.keys(GPUS[type] ?? {}).map(Number) : [];
}

/** The smallest machine type that has what is needed; undefined when none of the table has. */
export function smallestFor(need: Need): string | undefined {
  const types = need.gpuCount === 0 ? GENERAL : GPUS[need.gpuType || DEFAULT_GPU]?.[need.gpuCount];
  const fitting = (types ?? []).filter(
    (type) => type.cpuMillis >= need.cpuMillis && type.memoryMib >= need.memoryMib,
  );
  return [...fitting].sort((a, b) => a.cpuMillis - b.cpuMillis || a.memoryMib - b.memoryMib)[0]?.name;
}
