import { InvalidArgumentError } from "#pkg/errors/index.ts";
import { isSameMac, type Keyring } from "#pkg/job/index.ts";
import type { JobFilter, PageCursor } from "#pkg/store/index.ts";

const MOMENT_BYTES = 8;
const ID_BYTES = 16;
const MAC_BYTES = 16;
const PURPOSE = "page token";

/** What a page token holds good for. */
export interface PageScope {
  readonly tenantId: string;
  readonly filter: JobFilter;
}

/** The place behind a page, as a text that only this deployment can make, for this tenant and filter alone. */
export function encodePageToken(keyring: Keyring, scope: PageScope, cursor: PageCursor): string {
  const place = Buffer.alloc(MOMENT_BYTES + ID_BYTES);
  place.writeBigUInt64BE(BigInt(cursor.createdAtMs));
  place.write(cursor.jobId.replaceAll("-", ""), MOMENT_BYTES, "hex");
  const [mac] = macsOf(keyring, scope, place);
  return Buffer.concat([place, mac ?? Buffer.alloc(0)]).toString("base64url");
}

/** @throws InvalidArgumentError when the token is none, or was made for another tenant or other filters. */
export function decodePageToken(keyring: Keyring, scope: PageScope, token: string): PageCursor {
  const bytes = Buffer.from(token, "base64url");
  const place = bytes.subarray(0, MOMENT_BYTES + ID_BYTES);
  const mac = bytes.subarray(MOMENT_BYTES + ID_BYTES);
  const isWhole =
    bytes.byteLength === MOMENT_BYTES + ID_BYTES + MAC_BYTES && bytes.toString("base64url") === token;
  if (!isWhole || !macsOf(keyring, scope, place).some((each) => isSameMac(each, mac))) {
    throw new InvalidArgumentError([
      {
        field: "page_token",
        description:
          "must be the next_page_token of a page with the same filters, or empty for the first page",
      },
    ]);
  }
  const hex = place.toString("hex", MOMENT_BYTES);
  const jobId = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
    "-",
  );
  return { createdAtMs: Number(place.readBigUInt64BE()), jobId };
}

function macsOf(keyring: Keyring, { tenantId, filter }: PageScope, place: Buffer): readonly Buffer[] {
  const { statuses, namePrefix, labels, kind, createdAfterMs, createdBeforeMs } = filter;
  const byKey = Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1));
  const conditions = [
    statuses.toSorted(),
    namePrefix,
    byKey,
    kind,
    createdAfterMs ?? null,
    createdBeforeMs ?? null,
  ];
  const text = JSON.stringify([tenantId, place.toString("hex"), conditions]);
  return keyring.macs(PURPOSE, text).map(({ mac }) => mac.subarray(0, MAC_BYTES));
}
