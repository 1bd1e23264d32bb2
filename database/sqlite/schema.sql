-- The schema as it is now: the sum of the migrations, which say how it came to be so. Jobs with their history, workers
-- with their terms, and what the deployment remembers of itself. Moments are epoch milliseconds by the writer's wall
-- clock. JSON stands in TEXT.

CREATE TABLE meta (
  only           INTEGER PRIMARY KEY CHECK (only = 1),
  schema_version INTEGER NOT NULL,
  -- Code whose newest migration is below this must not write here.
  oldest_level   INTEGER NOT NULL,
  deployment_id  TEXT NOT NULL,
  key_fingerprint TEXT
) STRICT;

CREATE TABLE tenants (
  tenant_id  TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
  tenant_id           TEXT NOT NULL,
  job_id              TEXT NOT NULL,
  kind                TEXT NOT NULL,
  target              TEXT NOT NULL,
  level               INTEGER NOT NULL,
  spec                TEXT NOT NULL,
  priority            INTEGER NOT NULL,
  sealed_env          BLOB,
  sealing_key_id      TEXT,
  request_hash        TEXT NOT NULL,
  idempotency_key     TEXT,
  status              TEXT NOT NULL,
  attempt             INTEGER NOT NULL,
  create_phase        TEXT NOT NULL,
  unstarted_attempts  INTEGER NOT NULL,
  provider_job_id     TEXT,
  provider_state      TEXT,
  error               TEXT,
  wait_reason         TEXT,
  owner_id            TEXT,
  owner_term          INTEGER,
  version             INTEGER NOT NULL,
  due_at              INTEGER,
  cancel_requested_at INTEGER,
  delete_requested_at INTEGER,
  retry_of            TEXT,
  -- For work that starts work, and for jobs that go on where they were; nothing writes them yet.
  parent_job_id       TEXT,
  checkpoint          BLOB,
  purge_at            INTEGER,
  created_at          INTEGER NOT NULL,
  updated_at          INTEGER NOT NULL,
  started_at          INTEGER,
  completed_at        INTEGER,
  PRIMARY KEY (tenant_id, job_id),
  CHECK ((owner_id IS NULL) = (owner_term IS NULL))
) STRICT;

-- A batch job names its job by id alone.
CREATE INDEX jobs_by_id ON jobs (job_id);

-- A page of a tenant's list, one run for each status; the runs are merged.
CREATE INDEX jobs_listed ON jobs (tenant_id, status, created_at DESC, job_id DESC)
  WHERE delete_requested_at IS NULL;

-- What a term owns and what it left behind. Holds active jobs alone, so finished ones cost nothing.
CREATE INDEX jobs_owned ON jobs (owner_id, owner_term, tenant_id, job_id, target, level)
  WHERE status IN ('PENDING', 'RUNNING') AND owner_id IS NOT NULL;

-- Work that waits for an owner, in the order in which it is taken.
CREATE INDEX jobs_unowned ON jobs (target, priority DESC, created_at, job_id, level, due_at)
  WHERE status IN ('PENDING', 'RUNNING') AND owner_id IS NULL;

-- Requests that are not done, whoever owns the row.
CREATE INDEX jobs_requested ON jobs (owner_id, owner_term, tenant_id, job_id)
  WHERE (cancel_requested_at IS NOT NULL AND status IN ('PENDING', 'RUNNING')) OR delete_requested_at IS NOT NULL;

CREATE TABLE events (
  tenant_id   TEXT NOT NULL,
  job_id      TEXT NOT NULL,
  seq         INTEGER NOT NULL,
  type        TEXT NOT NULL,
  from_status TEXT,
  to_status   TEXT NOT NULL,
  reason      TEXT NOT NULL,
  actor       TEXT NOT NULL,
  term        INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  data        TEXT,
  PRIMARY KEY (tenant_id, job_id, seq),
  FOREIGN KEY (tenant_id, job_id) REFERENCES jobs (tenant_id, job_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
  tenant_id    TEXT NOT NULL,
  key          TEXT NOT NULL,
  job_id       TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  -- Null while the job's row is there.
  keep_until   INTEGER,
  PRIMARY KEY (tenant_id, key)
) STRICT;

CREATE INDEX idempotency_keys_over ON idempotency_keys (keep_until) WHERE keep_until IS NOT NULL;

CREATE TABLE tombstones (
  tenant_id  TEXT NOT NULL,
  job_id     TEXT NOT NULL,
  attempt    INTEGER NOT NULL,
  deleted_at INTEGER NOT NULL,
  keep_until INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, job_id)
) STRICT;

CREATE INDEX tombstones_by_id ON tombstones (job_id);
CREATE INDEX tombstones_over ON tombstones (keep_until);

CREATE TABLE workers (
  worker_id       TEXT PRIMARY KEY,
  term            INTEGER NOT NULL,
  -- 1 when this term is over; all below it are.
  over            INTEGER NOT NULL,
  beat            INTEGER NOT NULL,
  emptied_through INTEGER NOT NULL,
  instance        TEXT NOT NULL,
  url             TEXT,
  version         TEXT NOT NULL,
  level           INTEGER NOT NULL,
  targets         TEXT NOT NULL,
  kinds           TEXT NOT NULL,
  -- SERVE, or LEAVE when it takes nothing new.
  intent          TEXT NOT NULL,
  capacity        INTEGER NOT NULL,
  load            INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
