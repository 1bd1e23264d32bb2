import type { FieldViolation } from "#pkg/errors/index.ts";
import { type JobSpec, resourcesOf } from "#pkg/job/index.ts";
import { LABEL_PREFIX } from "./labels.ts";
import { machineFault } from "./validate-machine.ts";

/** The longest that Batch lets a job run: 14 days. */
const MAX_RUN_SECONDS = 1_209_600;
/** The smallest and the largest persistent disk. */
const BOOT_DISK_GB = { min: 10, max: 65_536 };
/** Google's own limit is 64; four are ours. */
const MAX_LABELS = 60;
const LABEL_KEY = /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u;
const LABEL_VALUE = /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u;
const SERVICE_ACCOUNT = /^[A-Za-z0-9.:_-]+@[A-Za-z0-9.-]+$/;
/** Variables that Batch sets itself. */
const BATCH_OWN = /^BATCH_(TASK_INDEX|TASK_COUNT|TASK_RETRY_ATTEMPT|HOSTS_FILE|JOB_ID|JOB_UID)$/;

type Refuse = (field: string, description: string) => void;

/** What of a spec GCP Batch cannot honour. README.md says what becomes of each field. */
export function validateSpec(spec: JobSpec): readonly FieldViolation[] {
  const faults: FieldViolation[] = [];
  const refuse: Refuse = (field, description) => faults.push({ field, description });
  const { maxRunDurationSeconds } = resourcesOf(spec);

  if (maxRunDurationSeconds > MAX_RUN_SECONDS) {
    refuse(
      "resource_override.max_run_duration_seconds",
      `must be at most ${MAX_RUN_SECONDS} (14 days) on GCP Batch`,
    );
  }
  const disk = spec.bootDiskSizeGb;
  if (disk !== 0 && (disk < BOOT_DISK_GB.min || disk > BOOT_DISK_GB.max)) {
    refuse("boot_disk_size_gb", `must be from ${BOOT_DISK_GB.min} to ${BOOT_DISK_GB.max} on GCP Batch`);
  }
  if (spec.serviceAccount !== "" && !SERVICE_ACCOUNT.test(spec.serviceAccount)) {
    refuse("service_account", "must be the e-mail address of a service account");
  }
  const owned = spec.envNames.filter((name) => BATCH_OWN.test(name));
  if (owned.length > 0) refuse("env_vars", `${owned.join(", ")}: set by GCP Batch itself; use other names`);
  const machine = machineFault(spec);
  if (machine !== undefined) faults.push(machine);
  checkLabels(spec.labels, refuse);
  return faults;
}

function checkLabels(labels: JobSpec["labels"], refuse: Refuse): void {
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) refuse("labels", `must be at most ${MAX_LABELS} labels on GCP Batch`);
  for (const [key, value] of entries) {
    if (!LABEL_KEY.test(key)) {
      refuse(
        "labels",
        `the key ${JSON.stringify(key)} must be lower case letters, digits, _ and -, beginning with a letter`,
      );
    } else if (/^(goog-|google-)/.test(key) || key.startsWith(LABEL_PREFIX)) {
      refuse(
        "labels",
        `the key ${JSON.stringify(key)} begins with what is kept for others: goog-, google-, ${LABEL_PREFIX}`,
      );
    }
    if (!LABEL_VALUE.test(value)) {
      refuse(
        "labels",
        `the value of ${JSON.stringify(key)} must be at most 63 lower case letters, digits, _ and -`,
      );
    }
  }
}
