// Over 300 lines, because it is one table.
import type { Bug, Patch } from "./bug.ts";

const claimer = "pkg/ownership/claimer.ts";
const steps = "pkg/dispatch/steps.ts";
const outcome = "pkg/dispatch/outcome.ts";
const decide = "pkg/dispatch/decide.ts";
const dispatcher = "pkg/dispatch/dispatcher.ts";
const rows = "pkg/dispatch/rows.ts";
const keeper = "pkg/ownership/term-keeper.ts";
const peers = "pkg/ownership/peer-watch.ts";
const ownership = "pkg/ownership/ownership.ts";
const provider = "test/simulation/cloud/provider.ts";
const modelUpdate = "test/simulation/store/model-update.ts";
const modelClaim = "test/simulation/store/model-claim.ts";
const modelTerms = "test/simulation/store/model-terms.ts";
const modelInsert = "test/simulation/store/model-insert.ts";
const modelDelete = "test/simulation/store/model-delete.ts";
const modelRequests = "test/simulation/store/model-requests.ts";

/** Nobody ignores the hint that a dead term is empty: the guard that hides every wrong hint. */
const noFullSearch: Patch = {
  file: claimer,
  find: `        owner.term !== lastFullSearchTerm || now - lastFullSearchMs >= fullSearchIntervalMs;`,
  replace: `        owner.term < 0 && now - lastFullSearchMs >= fullSearchIntervalMs + lastFullSearchTerm;`,
};

export const BUGS: readonly Bug[] = [
  {
    name: "stale-write-drops-the-job",
    says: "a write that matches no row is taken for a lost job",
    patches: [
      {
        file: rows,
        find: `return (await tryWrite(charge, change)) ? "moved" : reread(charge);`,
        replace: `return (await tryWrite(charge, change)) ? "moved" : "gone";`,
      },
    ],
  },
  {
    name: "unknown-is-failed",
    says: "a create without an answer is written down as FAILED",
    patches: [
      {
        file: outcome,
        find: `      return waiting(job, true, "UNCONFIRMED", undefined);`,
        replace: `      return failed({ reason: "UNKNOWN", message: "no answer" });`,
      },
    ],
  },
  {
    name: "server-writes-cancelled",
    says: "CancelJob writes CANCELLED itself",
    patches: [
      {
        file: "pkg/worker/cancel-job.ts",
        find: `    api.dispatcher.requested(job);`,
        replace: `    if (job.owner !== undefined) await api.store.updateJobs([{ ...ref, version: job.version, owner: job.owner, from: job.status, changes: { status: JobStatus.Cancelled }, event: { type: "CANCELLED", reason: "" }, atMs: api.clock.nowMs() }]);`,
      },
    ],
  },
  {
    name: "whole-row-write",
    says: "an owner writes its whole copy of the row, without a request that came meanwhile; a request does not raise the version, which would hide it, and has no event, which would tell",
    patches: [
      {
        file: rows,
        find: `            ends && changes.completedAtMs === undefined ? { ...changes, completedAtMs: atMs } : changes,`,
        replace: `            { ...job, ...changes, ...(ends && { completedAtMs: atMs }) },`,
      },
      {
        file: modelRequests,
        find: `const job: Job = { ...asked, version: asked.version + 1, updatedAtMs: by.atMs };`,
        replace: `const job: Job = { ...asked, updatedAtMs: by.atMs };
  if (asked.version > 0) {
    writeJob(state, job);
    return { kind: "left", first: true, job };
  }`,
      },
    ],
  },
  {
    name: "no-fence",
    says: "version, status, owner and term of a write are not compared: any one of them hides the others",
    patches: [
      { file: modelUpdate, find: `  if (row.version !== update.version) return stale;\n`, replace: "" },
      { file: modelUpdate, find: `  if (row.status !== update.from) return stale;\n`, replace: "" },
      {
        file: modelUpdate,
        find: `  if (row.owner?.workerId !== update.owner.workerId) return stale;\n`,
        replace: "",
      },
      {
        file: modelUpdate,
        find: `  if (row.owner?.term !== update.owner.term) return stale;\n`,
        replace: "",
      },
    ],
  },
  {
    name: "vendor-client-retries",
    says: "the vendor's client sends a create again by itself when no answer comes",
    patches: [
      {
        file: provider,
        find: `    const reply = await ask(what, permit.signal, () => cloud.create(request, signedAtMs));`,
        replace: `    let reply = await ask(what, permit.signal, () => cloud.create(request, signedAtMs));
    if (reply.kind === "unknown" && !permit.signal.aborted) reply = await ask(what, permit.signal, () => cloud.create(request, signedAtMs));`,
      },
    ],
  },
  {
    name: "claim-by-predicate",
    says: "a claim takes whatever has no open term when its statement began, not the terms that it was given by value",
    patches: [
      {
        file: "test/simulation/world/store-server.ts",
        find: `    const keys = rowsOf(call);`,
        replace: `    if (call.name === "claimJobs") call.args[0].seen ??= core.readWorkers();
    const keys = rowsOf(call);`,
      },
      {
        file: modelClaim,
        find: `      return isOfTerms(job.owner, dead);`,
        replace: `      return job.owner !== undefined && !request.seen.some((row) => row.workerId === job.owner.workerId && row.term === job.owner.term && !row.over);`,
      },
    ],
  },
  {
    name: "claim-by-an-old-search",
    says: "what a claim's search found is taken in its transaction without being looked at again",
    patches: [
      {
        file: modelClaim,
        find: `  take(leftBehind(state, request));
`,
        replace: `  if (only !== undefined) take([...state.jobs.values()]);
  take(leftBehind(state, request));
`,
      },
    ],
  },
  {
    name: "resubmit-on-unknown",
    says: "on a cloud without unique names an unknown create is sent again at once",
    patches: [
      {
        file: decide,
        find: `return createIsIdempotent && known.refusal === undefined ?`,
        replace: `return known.refusal === undefined ?`,
      },
    ],
  },
  {
    name: "5xx-is-refusal",
    says: "a 5xx is taken for a refusal: as if it had made nothing",
    patches: [
      {
        file: provider,
        find: `    if (reply.kind === "unknown") return reply;`,
        replace: `    if (reply.kind === "unknown") return { kind: "refused", reason: "5XX", message: "5xx", retryAfterMs: undefined, holdsUp: "target" };`,
      },
    ],
  },
  {
    name: "emptied-by-a-skipping-read",
    says: "whether a dead term is empty is decided by a read that skips locked rows; and nobody ignores the hint",
    patches: [
      {
        file: modelClaim,
        find: `  const all = [...state.jobs.values()];
  return all.some(`,
        replace: `  const all = claimable(state);
  return all.some(`,
      },
      noFullSearch,
    ],
  },
  {
    name: "term-numbers-reused",
    says: "a restart takes the number of its last term again",
    patches: [
      {
        file: modelTerms,
        find: `reignOf(begin, row.term + 1, row.emptiedThrough)`,
        replace: `reignOf(begin, row.term, row.emptiedThrough)`,
      },
    ],
  },
  {
    name: "missing-is-lost-at-once",
    says: "a batch job that the cloud did not name once is PROVIDER_LOST",
    patches: [
      {
        file: "pkg/tracking/schedule.ts",
        find: `  return misses >= MISSES_UNTIL_LOST && ageMs >= AGE_UNTIL_LOST_MS;`,
        replace: `  return misses + ageMs / 1e9 >= Math.min(1, MISSES_UNTIL_LOST, AGE_UNTIL_LOST_MS);`,
      },
    ],
  },
  {
    name: "unreadable-is-a-miss",
    says: "a batch job whose state could not be read is counted as one that the cloud did not name",
    patches: [
      {
        file: "pkg/tracking/tracker.ts",
        find: `      if (states.has(item.batchJobId)) return;
`,
        replace: "",
      },
    ],
  },
  {
    name: "lost-commit-new-id",
    says: "after a lost answer to an insert the worker tries again under a new id",
    patches: [
      {
        file: "pkg/worker/accept-job.ts",
        find: `    if (job.owner !== undefined) api.ownership.noteLostAnswer();
    throw error;`,
        replace: `    if (job.owner !== undefined) api.ownership.noteLostAnswer();
    const jobId = createJobId(api.clock, api.entropy);
    const env = api.keyring.open(job, job);
    const again = { ...job, jobId, ...api.keyring.seal({ tenantId: job.tenantId, jobId }, env) };
    const [result] = await api.store.insertJobs([again]);
    if (result !== undefined) return result;
    throw error;`,
      },
    ],
  },
  {
    name: "no-settle",
    says: "a doubt is settled by the first look that finds nothing",
    patches: [
      {
        file: decide,
        find: `known.absentLookAtMs !== undefined && known.absentLookAtMs >= known.settledAtMs;`,
        replace: `known.absentLookAtMs !== undefined;`,
      },
    ],
  },
  {
    name: "cancel-in-doubt",
    says: "a cancel is written although a create is in doubt",
    patches: [
      {
        file: decide,
        find: `  if (isInDoubt(known)) {`,
        replace: `  if (cancelRequested) return { kind: "cancel" };
  if (isInDoubt(known)) {`,
      },
    ],
  },
  {
    name: "refusal-in-doubt",
    says: "a refusal is written although an earlier create is in doubt",
    patches: [
      {
        file: outcome,
        find: `      return isInDoubt(known) ? undefined : failed(`,
        replace: `      return isInDoubt({ ...known, doubt: false }) ? undefined : failed(`,
      },
    ],
  },
  {
    name: "already-exists-is-failure",
    says: "a name that exists is taken for a refusal instead of adopted",
    patches: [
      {
        file: provider,
        find: `    return { kind: "accepted", adopted: made.kind === "exists",`,
        replace: `    if (made.kind === "exists") return { kind: "rejected", reason: "ALREADY_EXISTS", message: "409" };
    return { kind: "accepted", adopted: false,`,
      },
      {
        file: outcome,
        find: `      return isInDoubt(known) ? undefined : failed(`,
        replace: `      return isInDoubt({ ...known, doubt: false }) ? undefined : failed(`,
      },
    ],
  },
  {
    name: "takeover-uses-own-target",
    says: "a takeover uses the worker's own target instead of the row's",
    patches: [
      {
        file: dispatcher,
        find: `    const lane = lanes.get(job.target);
    if (lane === undefined)`,
        replace: `    const lane = lanes.values().next().value;
    if (lane === undefined)`,
      },
    ],
  },
  {
    name: "key-freed-with-its-row",
    says: "an idempotency key is forgotten together with the deleted row",
    patches: [
      {
        file: modelDelete,
        find: `  keepKey(state, row, deletion.keyUntilMs);`,
        replace: `  if (row.idempotencyKey !== undefined) state.keys.delete(keyNameOf(row.tenantId, row.idempotencyKey));`,
      },
    ],
  },
  {
    name: "key-not-unique",
    says: "(tenant, key) is looked up, not enforced: two inserts at once may both find it free",
    patches: [
      {
        file: modelInsert,
        find: `  if (used.requestHash !== job.requestHash) return DIFFERENT;`,
        replace: `  return undefined;`,
      },
    ],
  },
  {
    name: "inserted-after-emptied",
    says: "the hint that a dead term is empty is believed for good",
    patches: [noFullSearch],
  },
  {
    name: "lost-begins-a-new-attempt",
    says: "PROVIDER_LOST is followed by another attempt",
    patches: [
      {
        file: steps,
        find: `  return failed({ reason: PROVIDER_LOST, message: "the provider does not know the batch job any more" });`,
        replace: `  const { attempt, unstartedAttempts } = job;
  return {
    changes: { status: "PENDING", attempt: attempt + 1, unstartedAttempts: unstartedAttempts + 1, createPhase: "INTENDED" },
    event: { type: EventType.Retrying, reason: PROVIDER_LOST },
  };`,
      },
    ],
  },
  {
    name: "lost-is-not-terminated",
    says: "PROVIDER_LOST ends the job, and its batch job is not told to end",
    patches: [
      {
        file: steps,
        find: `        if (state === "lost" || state.reason === PROVIDER_LOST) await terminate(charge, lane);\n`,
        replace: "",
      },
    ],
  },
  {
    name: "inventory-terminates-nothing",
    says: "the inventory leaves alone what runs on after its job was over",
    patches: [
      {
        file: "pkg/tracking/inventory.ts",
        find: `      await terminate(provider, batchJobId, budget, stopping);`,
        replace: `      if (isOrphan) await terminate(provider, batchJobId, budget, stopping);`,
      },
    ],
  },
  {
    name: "cancel-deletes",
    says: "a cancel deletes the batch job, which frees its name",
    patches: [
      {
        file: provider,
        find: `() => cloud.terminate(name));`,
        replace: `() => {
        cloud.terminate(name);
        for (const job of cloud.jobs) if (job.name === name) Object.assign(job, { stopsAtMs: agenda.nowMs, removedAtMs: agenda.nowMs });
      });`,
      },
    ],
  },
  {
    name: "no-trust-window",
    says: "a create leaves whether or not the lease is still certain to be held",
    patches: [
      {
        file: "pkg/dispatch/calls.ts",
        find: `      if (reign.owner?.term !== term || reign.trustedForMs() <= 0) throw new TrustLapsedError();`,
        replace: "",
      },
      {
        file: "pkg/dispatch/calls.ts",
        find: `Math.min(CALL_TIMEOUT_MS, reign.trustedForMs())`,
        replace: `CALL_TIMEOUT_MS`,
      },
    ],
  },
  {
    name: "delete-at-once",
    says: "a deletion does not wait for the settling",
    patches: [
      {
        file: decide,
        find: `  if (known.settledAtMs > now.monotonicMs) return { kind: "wait", untilMonotonicMs: known.settledAtMs };
`,
        replace: "",
      },
    ],
  },
  {
    name: "expiry-not-written",
    says: "a silent term is treated as over without writing so, and one that is over may renew",
    patches: [
      {
        file: ownership,
        find: `      if (!(await store.expireTerm(owner, beat))) continue;`,
        replace: `      workers = workers.map((row) => (row.workerId === owner.workerId && row.beat === beat ? { ...row, over: true } : row));`,
      },
      {
        file: ownership,
        find: `    if (await expireSilent(clock.monotonicMs())) workers = await store.readWorkers();`,
        replace: `    await expireSilent(clock.monotonicMs());`,
      },
    ],
  },
  {
    name: "watched-from-the-question",
    says: "a beat is watched from the moment of the question, not of the answer",
    patches: [
      {
        file: ownership,
        find: `    workers = await store.readWorkers();
    if (await expireSilent(clock.monotonicMs()))`,
        replace: `    const askedAtMs = clock.monotonicMs();
    workers = await store.readWorkers();
    if (await expireSilent(askedAtMs))`,
      },
    ],
  },
  {
    name: "late-begin",
    says: "a begin takes effect whatever stands in the row by then",
    patches: [
      { file: modelTerms, find: `  if (row.term !== expected?.term) return unchanged(row);\n`, replace: "" },
      {
        file: modelTerms,
        find: `  if (row.instance !== expected?.instance) return unchanged(row);\n`,
        replace: "",
      },
      { file: modelTerms, find: `  if (row.over !== expected?.over) return unchanged(row);\n`, replace: "" },
    ],
  },
  {
    name: "events-outside-the-transaction",
    says: "a change and its event are two writes",
    patches: [
      {
        file: modelUpdate,
        find: `  if (update.event === undefined) return { kind: "applied", job };`,
        replace: `  return { kind: "applied", job };`,
      },
    ],
  },
  {
    name: "stale-write-leaves-its-event",
    says: "a write that matches no row changes nothing, but its event is appended",
    patches: [
      {
        file: modelUpdate,
        find: `  if (row.version !== update.version) return stale;`,
        replace: `  if (row.version !== update.version) {
    if (update.event !== undefined) appendEvent(state, row, { ...update.event, seq: row.version, from: row.status, to: row.status, actor: update.owner.workerId, term: update.owner.term, atMs: update.atMs });
    return stale;
  }`,
      },
    ],
  },
  {
    name: "hang-up-cancels",
    says: "a submit whose caller is gone leaves a cancel",
    patches: [
      {
        file: "pkg/worker/accept-job.ts",
        find: `    timer.cancel();
  }`,
        replace: `    timer.cancel();
    if (context.signal.aborted) await api.store.leaveRequest(job, "cancel", { actor: api.workerId, atMs: api.clock.nowMs() }).catch(() => undefined);
  }`,
      },
    ],
  },
  {
    name: "drain-drops-accepted-work",
    says: "who leaves in order tells that its term left nothing, whatever was accepted meanwhile; and nobody ignores the hint",
    patches: [
      {
        file: keeper,
        find: `    await store.endTerm(held, instance);`,
        replace: `    await store.endTerm(held, instance);
    await store.markEmptied(workerId, held.term);`,
      },
      noFullSearch,
    ],
  },
  {
    name: "lost-answers-not-swept",
    says: "an owner that lost the answer of an insert or a claim does not look for what it may own",
    patches: [
      {
        file: claimer,
        find: `    sweepsDueMs = [clock.monotonicMs(), clock.monotonicMs() + SECOND_SWEEP_MS];`,
        replace: `    sweepsDueMs = [];`,
      },
    ],
  },
  {
    name: "lost-claim-is-forgotten",
    says: "a claimer that lost the answer of a claim does not look for what it may own",
    patches: [
      {
        file: claimer,
        find: `      noteLostAnswer();
      throw error;`,
        replace: `      throw error;`,
      },
    ],
  },
  {
    name: "hang-up-leaves-the-job",
    says: "a job whose caller hangs up while it is committed is not begun, though its owner is this worker",
    patches: [
      {
        file: "pkg/worker/accept-job.ts",
        find: `  return job.owner === undefined ? job : await begin(`,
        replace: `  return job.owner === undefined || context.signal.aborted ? job : await begin(`,
      },
    ],
  },
  {
    name: "stale-row-takes-charge",
    says: "a row from a search or an answer is acted on without being read again, though its job may have ended since",
    patches: [
      {
        file: dispatcher,
        find: `if (charge === undefined) refresh(take(job, false));`,
        replace: `if (charge === undefined) kick(take(job, false));`,
      },
    ],
  },
  {
    name: "create-after-an-unanswered-write",
    says: "a create leaves although an earlier write on the row was not answered, and may still take effect",
    patches: [
      {
        file: steps,
        find: `    if (isBegun(charge.job) && charge.unansweredAtVersion !== charge.job.version) return true;`,
        replace: `    if (isBegun(charge.job)) return true;`,
      },
    ],
  },
  {
    name: "create-though-begun-was-not-committed",
    says: "a create leaves although the commit of BEGUN before it matched no row",
    patches: [
      {
        file: steps,
        find: `      if (await commitBegun(charge)) return await createOnce(charge, lane);`,
        replace: `      await commitBegun(charge);
      return await createOnce(charge, lane);`,
      },
    ],
  },
  {
    name: "begin-under-a-lost-term",
    says: "a job whose insert was answered after the term was lost is kept in charge, which hides its claim",
    patches: [
      {
        file: dispatcher,
        find: `        if (!isReigning(job.owner)) return Promise.resolve(job);`,
        replace: "",
      },
    ],
  },
  {
    name: "trust-by-the-monotonic-clock",
    says: "trust is counted on the monotonic clock alone, which stands still while the machine is suspended",
    patches: [
      {
        file: keeper,
        find: `      return Math.max(0, ttlMs * (1 - MARGIN) - elapsedBothMs(clock, keptAt));`,
        replace: `      return Math.max(0, ttlMs * (1 - MARGIN) - (clock.monotonicMs() - keptAt.monotonicMs));`,
      },
    ],
  },
  {
    name: "trust-from-the-answer",
    says: "trust is counted from the answer of a renewal, not from before it was sent",
    patches: [
      {
        file: keeper,
        find: `    keptAt = sentAt;`,
        replace: `    keptAt = instantOf(clock);`,
      },
    ],
  },
  {
    name: "looks-seldom",
    says: "a worker looks at its peers' rows once a minute",
    patches: [
      {
        file: ownership,
        find: `Math.min(claimIntervalMs / 2, LONGEST_LOOK_INTERVAL_MS)`,
        replace: `60 * Math.max(claimIntervalMs / 2, LONGEST_LOOK_INTERVAL_MS)`,
      },
    ],
  },
  {
    name: "half-a-ttl-of-silence",
    says: "a term is expired after half a TTL of silence",
    patches: [{ file: peers, find: `>= options.ttlMs)`, replace: `>= options.ttlMs / 2)` }],
  },
  {
    name: "free-retries-without-a-bound",
    says: "a job whose attempts all end before they start is tried again for ever",
    patches: [
      {
        file: outcome,
        find: `state.endedUnstarted && job.unstartedAttempts < MAX_UNSTARTED_ATTEMPTS;`,
        replace: `state.endedUnstarted && job.unstartedAttempts < MAX_UNSTARTED_ATTEMPTS ** 9;`,
      },
    ],
  },
  {
    name: "insert-under-a-peers-term",
    says: "a worker without a term of its own accepts jobs under a peer's",
    patches: [
      {
        file: "pkg/worker/accept-job.ts",
        find: `api.maxActiveJobs ? api.ownership.owner : undefined;`,
        replace: `api.maxActiveJobs ? (api.ownership.owner ?? api.ownership.workers.find((row) => !row.over)) : undefined;`,
      },
    ],
  },
  {
    name: "list-leaves-one-out",
    says: "a list begins with its second job",
    patches: [
      {
        file: "pkg/worker/list-jobs.ts",
        find: `    jobs: jobs.map(`,
        replace: `    jobs: jobs.slice(1).map(`,
      },
    ],
  },
  {
    name: "defect-in-a-loop",
    says: "one round of tracking in twenty fails with an error that is nobody's, which its loop logs and goes on from",
    patches: [
      {
        file: "pkg/tracking/tracker.ts",
        find: `    const states = await withTimeout(`,
        replace: `    if (entropy.uniform() < 0.05) throw new TypeError("a defect");
    const states = await withTimeout(`,
      },
    ],
  },
  {
    name: "tenant-not-compared",
    says: "a row is found by its id alone",
    patches: [
      {
        file: "test/simulation/store/model-state.ts",
        find: `  return state.jobs.get(nameOf(ref));`,
        replace: `  return state.jobs.get(nameOf(ref)) ?? [...state.jobs.values()].find((job) => job.jobId === ref.jobId);`,
      },
    ],
  },
  {
    name: "secrets-in-the-log",
    says: "a job's environment is logged before its create, values and all",
    patches: [
      {
        file: steps,
        find: `    return await trusted(charge, (permit) =>
      provider.create(`,
        replace: `    log.debug({ ...fieldsOf(job), env }, "a create is about to leave");
    return await trusted(charge, (permit) =>
      provider.create(`,
      },
    ],
  },
  {
    name: "retry-without-its-environment",
    says: "a job that is retried keeps the names of its environment and loses the values",
    patches: [
      {
        file: "pkg/worker/retry-job.ts",
        find: `  const env = api.keyring.open(old, old);`,
        replace: `  const env = {};`,
      },
    ],
  },
  {
    name: "aws-honours-old-signatures",
    says: "the assumption on AWS does not hold: a request is honoured however old its signature is, and may be under way for long",
    patches: [
      {
        file: "test/simulation/cloud/cloud.ts",
        find: `    if (life !== undefined && agenda.nowMs - signedAtMs > life) return { kind: "expired" };`,
        replace: "",
      },
      {
        file: "test/simulation/cloud/rules.ts",
        find: `longestWayMs: 60_000`,
        replace: `longestWayMs: 200_000`,
      },
    ],
  },
  {
    name: "late-requests-of-named-clouds",
    says: "the assumption where names are unique does not hold: a request is under way for longer than requestOutlivesMs",
    patches: [
      {
        file: "test/simulation/cloud/rules.ts",
        find: `  return (rules.signatureLifeMs ?? rules.longestWayMs) + rules.listLagMs;`,
        replace: `  return rules.signatureLifeMs === undefined ? 1_000 : rules.signatureLifeMs + rules.listLagMs;`,
      },
      {
        file: "test/simulation/cloud/rules.ts",
        find: `  cloud: "gcp",
  namesAreUnique: true,
  signatureLifeMs: undefined,
  longestWayMs: 15_000,`,
        replace: `  cloud: "gcp",
  namesAreUnique: true,
  signatureLifeMs: undefined,
  longestWayMs: 300_000,`,
      },
    ],
  },
];
