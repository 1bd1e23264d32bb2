-- The schema of Cloud Spanner as it is now: the sum of `migrations/`, which a test holds. To be read; `npm run migrate` makes it.
-- Moments are by the writer's wall clock, in whole milliseconds. Why the keys are as they are: README.md.

CREATE TABLE Meta (
  MetaId         INT64 NOT NULL,
  SchemaVersion  INT64 NOT NULL,
  -- Code whose newest migration is below this must not write here.
  OldestLevel    INT64 NOT NULL,
  DeploymentId   STRING(36) NOT NULL,
  KeyFingerprint STRING(MAX),
  -- Seals secrets where the operator sets no SECRETS_KEY.
  DataKey        BYTES(32) NOT NULL,
  CONSTRAINT MetaIsOneRow CHECK (MetaId = 1),
) PRIMARY KEY (MetaId);

CREATE TABLE Tenants (
  TenantId  STRING(64) NOT NULL,
  CreatedAt TIMESTAMP NOT NULL,
) PRIMARY KEY (TenantId);

CREATE TABLE Jobs (
  TenantId          STRING(64) NOT NULL,
  JobId             STRING(64) NOT NULL,
  Kind              STRING(MAX) NOT NULL,
  Target            STRING(MAX) NOT NULL,
  Level             INT64 NOT NULL,
  Spec              JSON NOT NULL,
  Priority          INT64 NOT NULL,
  SealedEnv         BYTES(MAX),
  SealingKeyId      STRING(MAX),
  RequestHash       STRING(MAX) NOT NULL,
  IdempotencyKey    STRING(128),
  Status            STRING(32) NOT NULL,
  Attempt           INT64 NOT NULL,
  CreatePhase       STRING(32) NOT NULL,
  UnstartedAttempts INT64 NOT NULL,
  ProviderJobId     STRING(MAX),
  ProviderState     STRING(MAX),
  Error             JSON,
  WaitReason        STRING(MAX),
  OwnerId           STRING(MAX),
  OwnerTerm         INT64,
  Version           INT64 NOT NULL,
  DueAt             TIMESTAMP,
  CancelRequestedAt TIMESTAMP,
  DeleteRequestedAt TIMESTAMP,
  RetryOf           STRING(MAX),
  -- For work that starts work, and for jobs that go on where they were; nothing writes them yet.
  ParentJobId       STRING(MAX),
  Checkpoint        BYTES(MAX),
  PurgeAt           TIMESTAMP,
  CreatedAt         TIMESTAMP NOT NULL,
  UpdatedAt         TIMESTAMP NOT NULL,
  StartedAt         TIMESTAMP,
  CompletedAt       TIMESTAMP,
  CONSTRAINT JobsOwnerIsWhole CHECK ((OwnerId IS NULL) = (OwnerTerm IS NULL)),
  -- What the indexes below are made of: each is NULL, and the row not in its index, where the index has no use for it.
  Shard         INT64 NOT NULL AS (FARM_FINGERPRINT(JobId) & 15) STORED,
  ListedAt      TIMESTAMP AS (IF(DeleteRequestedAt IS NULL, CreatedAt, NULL)) STORED,
  ActiveOwner   STRING(MAX) AS (IF(Status IN ('PENDING', 'RUNNING'), OwnerId, NULL)) STORED,
  UnownedTarget STRING(MAX) AS (IF(Status IN ('PENDING', 'RUNNING') AND OwnerId IS NULL, Target, NULL)) STORED,
  -- '' where nobody owns the row.
  RequestOwner  STRING(MAX) AS (IF((CancelRequestedAt IS NOT NULL AND Status IN ('PENDING', 'RUNNING'))
                  OR DeleteRequestedAt IS NOT NULL, IFNULL(OwnerId, ''), NULL)) STORED,
) PRIMARY KEY (TenantId, JobId), INTERLEAVE IN PARENT Tenants ON DELETE NO ACTION;

-- A batch job names its job by id alone.
CREATE INDEX JobsById ON Jobs (Shard, JobId);

-- A page of a tenant's list, one run for each status; the runs are merged.
CREATE NULL_FILTERED INDEX JobsListed ON Jobs (TenantId, Status, ListedAt DESC, JobId DESC),
  INTERLEAVE IN Tenants;

-- What a term owns and what it left behind. Holds active jobs alone, so finished ones cost nothing.
CREATE NULL_FILTERED INDEX JobsOwned ON Jobs (ActiveOwner, OwnerTerm, TenantId, JobId)
  STORING (Target, Level);

-- Work that waits for an owner, in the order in which it is taken, one run for each shard.
CREATE NULL_FILTERED INDEX JobsUnowned ON Jobs (UnownedTarget, Shard, Priority DESC, CreatedAt, JobId)
  STORING (Level, DueAt);

-- Requests that are not done, whoever owns the row.
CREATE NULL_FILTERED INDEX JobsRequested ON Jobs (RequestOwner, TenantId, JobId)
  STORING (OwnerTerm, Target, Level, Status, CreatePhase, Priority, CreatedAt);

CREATE TABLE JobStateTransitions (
  TenantId   STRING(64) NOT NULL,
  JobId      STRING(64) NOT NULL,
  Seq        INT64 NOT NULL,
  Type       STRING(MAX) NOT NULL,
  FromStatus STRING(32),
  ToStatus   STRING(32) NOT NULL,
  Reason     STRING(MAX) NOT NULL,
  Actor      STRING(MAX) NOT NULL,
  Term       INT64 NOT NULL,
  OccurredAt TIMESTAMP NOT NULL,
  Data       JSON,
) PRIMARY KEY (TenantId, JobId, Seq), INTERLEAVE IN PARENT Jobs ON DELETE CASCADE;

CREATE TABLE IdempotencyKeys (
  TenantId       STRING(64) NOT NULL,
  IdempotencyKey STRING(128) NOT NULL,
  JobId          STRING(64) NOT NULL,
  RequestHash    STRING(MAX) NOT NULL,
  -- NULL while the job's row is there.
  KeepUntil      TIMESTAMP,
  Shard          INT64 NOT NULL AS (FARM_FINGERPRINT(JobId) & 15) STORED,
) PRIMARY KEY (TenantId, IdempotencyKey), INTERLEAVE IN PARENT Tenants ON DELETE NO ACTION;

CREATE NULL_FILTERED INDEX IdempotencyKeysOver ON IdempotencyKeys (Shard, KeepUntil);

CREATE TABLE Tombstones (
  TenantId  STRING(64) NOT NULL,
  JobId     STRING(64) NOT NULL,
  Attempt   INT64 NOT NULL,
  DeletedAt TIMESTAMP NOT NULL,
  KeepUntil TIMESTAMP NOT NULL,
  Shard     INT64 NOT NULL AS (FARM_FINGERPRINT(JobId) & 15) STORED,
) PRIMARY KEY (TenantId, JobId), INTERLEAVE IN PARENT Tenants ON DELETE NO ACTION;

CREATE INDEX TombstonesById ON Tombstones (Shard, JobId);
CREATE INDEX TombstonesOver ON Tombstones (Shard, KeepUntil);

CREATE TABLE Workers (
  WorkerId       STRING(MAX) NOT NULL,
  Term           INT64 NOT NULL,
  -- TRUE when this term is over; all below it are.
  IsOver         BOOL NOT NULL,
  Beat           INT64 NOT NULL,
  EmptiedThrough INT64 NOT NULL,
  Instance       STRING(MAX) NOT NULL,
  Url            STRING(MAX),
  Version        STRING(MAX) NOT NULL,
  Level          INT64 NOT NULL,
  Targets        JSON NOT NULL,
  Kinds          JSON NOT NULL,
  -- SERVE, or LEAVE when it takes nothing new.
  Intent         STRING(32) NOT NULL,
  Capacity       INT64 NOT NULL,
  Load           INT64 NOT NULL,
) PRIMARY KEY (WorkerId);
