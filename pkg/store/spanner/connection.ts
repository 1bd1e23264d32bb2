import { type protos, Spanner, v1 } from "@google-cloud/spanner";
import { InvariantError } from "#pkg/errors/index.ts";
import type { DatabaseName } from "./faults.ts";
import { decode, type Row } from "./values.ts";

type Api = protos.google.spanner.v1.IExecuteSqlRequest;
type ReadApi = protos.google.spanner.v1.IReadRequest;
type CommitRequest = protos.google.spanner.v1.ICommitRequest;
type PartialResult = protos.google.spanner.v1.IPartialResultSet;
export type Selector = protos.google.spanner.v1.ITransactionSelector;
export type Mutation = protos.google.spanner.v1.IMutation;
export type CommitToken = protos.google.spanner.v1.IMultiplexedSessionPrecommitToken;

export interface Session {
  readonly name: string;
  /** Any number of transactions may share it; otherwise one at a time. Emulators have plain sessions only. */
  readonly isMultiplexed: boolean;
}

/** What a query or a read answered. */
export interface Answer {
  readonly rows: readonly Row[];
  /** Of the transaction that this request began, if it did. */
  readonly transactionId: Uint8Array | undefined;
  readonly commitToken: CommitToken | undefined;
}

/** A statement or a read without its transaction. */
export type Question =
  | { readonly kind: "query"; readonly request: Pick<Api, "sql" | "params" | "paramTypes" | "seqno"> }
  | { readonly kind: "read"; readonly request: Pick<ReadApi, "table" | "columns" | "keySet"> };

/** Requests to one database, each sent once. They reject with the client's own errors. */
export interface Connection {
  createSession(timeoutMs: number): Promise<Session>;
  ask(question: Question, session: Session, transaction: Selector, timeoutMs: number): Promise<Answer>;
  /** @returns a token with which the commit must be sent again, when it has not happened yet. */
  commit(request: CommitRequest, timeoutMs: number): Promise<CommitToken | undefined>;
  rollback(session: Session, transactionId: Uint8Array, timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * The vendor's generated client, below its `Database` class: that one resumes broken streams without a pause, waits for
 * seconds after an abort, looks for a lost session for ever, and keeps timers of its own, none of which can be told otherwise
 * as a whole. Here one call is one request with one deadline, and `retry.ts` decides what follows.
 */
export function openConnection(name: DatabaseName): Connection {
  const database = `projects/${name.project}/instances/${name.instance}/databases/${name.database}`;
  const client = new v1.SpannerClient(clientOptions(name.project));
  let isInitialized = false;
  // A transaction's locks are at the leader; a strong read is answered by whoever is near.
  const toAnyone = { "google-cloud-resource-prefix": database };
  const toLeader = { ...toAnyone, "x-goog-spanner-route-to-leader": "true" };
  const once = (timeout: number) => ({ timeout, retry: null, otherArgs: { headers: toLeader } });
  const streamOnce = (timeout: number, headers: typeof toAnyone) => ({
    timeout,
    // Left on, these would wait for 2 to 7 seconds before they told of an abort.
    retryRequestOptions: { retries: 0, noResponseRetries: 0 },
    otherArgs: { headers },
  });

  return {
    async createSession(timeoutMs) {
      // Every call begins with this and awaits it nowhere: a fault, such as no credentials, would end the process.
      await client.initialize();
      isInitialized = true;
      const [session] = await client.createSession(
        { database, session: { multiplexed: true } },
        once(timeoutMs),
      );
      return { name: session.name ?? "", isMultiplexed: session.multiplexed ?? false };
    },
    ask({ kind, request }, session, transaction, timeoutMs) {
      const whole = { ...request, session: session.name, transaction };
      const options = streamOnce(timeoutMs, transaction.singleUse ? toAnyone : toLeader);
      const stream =
        kind === "query" ? client.executeStreamingSql(whole, options) : client.streamingRead(whole, options);
      return gather(stream);
    },
    async commit(request, timeoutMs) {
      const [response] = await client.commit(request, once(timeoutMs));
      return response.precommitToken ?? undefined;
    },
    async rollback(session, transactionId, timeoutMs) {
      await client.rollback({ session: session.name, transactionId }, once(timeoutMs));
    },
    async close() {
      if (isInitialized) await client.close();
    },
  };
}

/** What every client of Spanner is made with: the project, and the emulator where `SPANNER_EMULATOR_HOST` names one. */
export function clientOptions(projectId: string): ConstructorParameters<typeof v1.SpannerClient>[0] {
  const { options } = new Spanner({ projectId, disableBuiltInMetrics: true });
  const { servicePath, port, sslCreds } = options as Record<"servicePath" | "port" | "sslCreds", never>;
  return {
    projectId,
    // An emulator asks for no credentials, so nobody need look for a cloud's metadata server.
    ...(servicePath !== undefined && {
      servicePath,
      port,
      sslCreds,
      clientOptions: { universeDomain: "googleapis.com" },
    }),
    // A connection that died without a word is noticed, as the vendor's own `Database` does it.
    "grpc.keepalive_time_ms": 120_000,
    // After an outage somebody waits; by default a new connection is tried every two minutes at last.
    "grpc.max_reconnect_backoff_ms": 5_000,
  };
}

/** Puts the parts of an answer together: rows come as one run of values, and a value may be cut between two parts. */
async function gather(stream: AsyncIterable<PartialResult>): Promise<Answer> {
  const values: protos.google.protobuf.IValue[] = [];
  let fields: readonly protos.google.spanner.v1.StructType.IField[] = [];
  let transactionId: Uint8Array | undefined;
  let commitToken: CommitToken | undefined;
  let isCut = false;
  for await (const part of stream) {
    fields = part.metadata?.rowType?.fields ?? fields;
    transactionId ??= idOf(part.metadata?.transaction?.id);
    commitToken = laterToken(commitToken, part.precommitToken ?? undefined);
    const [first, ...rest] = part.values ?? [];
    if (first === undefined) continue;
    const last = values.at(-1);
    // Only texts are ever cut here: no column of ours is an array.
    if (isCut && last !== undefined) {
      values[values.length - 1] = { stringValue: `${last.stringValue ?? ""}${first.stringValue ?? ""}` };
    } else values.push(first);
    values.push(...rest);
    isCut = part.chunkedValue ?? false;
  }
  return { rows: rowsOf(fields, values), transactionId, commitToken };
}

function rowsOf(
  fields: readonly protos.google.spanner.v1.StructType.IField[],
  values: readonly protos.google.protobuf.IValue[],
): readonly Row[] {
  const rows: Row[] = [];
  for (let at = 0; at < values.length; at += fields.length) {
    const row: Record<string, unknown> = {};
    for (const [index, field] of fields.entries()) {
      const value = values[at + index];
      if (value === undefined) throw new InvariantError("an answer of Spanner ends inside a row");
      row[field.name ?? ""] = decode(value, field.type?.code);
    }
    rows.push(row);
  }
  return rows;
}

/** A commit names the newest token that its transaction was given. */
export function laterToken(a: CommitToken | undefined, b: CommitToken | undefined): CommitToken | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return (b.seqNum ?? 0) > (a.seqNum ?? 0) ? b : a;
}

function idOf(id: Uint8Array | string | null | undefined): Uint8Array | undefined {
  if (id === null || id === undefined || id.length === 0) return undefined;
  return typeof id === "string" ? Buffer.from(id, "base64") : id;
}
