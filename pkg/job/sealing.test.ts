import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSeededEntropy, systemEntropy } from "#pkg/clock/index.ts";
import { ConfigError, readSettings } from "#pkg/config/index.ts";
import { createKeyring, fingerprintOf, requestHashes, SealedByUnknownKeyError, secretsKey } from "./index.ts";

const [old, fresh] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
const job = { tenantId: "t", jobId: "0197aaaa-0000-7000-8000-000000000001" };

function sealedBy(keys: readonly Uint8Array[], env: Record<string, string> = { A: "marker" }) {
  const sealed = createKeyring(keys, systemEntropy).seal(job, env);
  if (sealed === undefined) throw new Error("nothing was sealed");
  return sealed;
}

describe("sealing", () => {
  it("what was sealed opens again, and does not show in what is kept", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.string({ unit: "grapheme" })), (env) => {
        const keyring = createKeyring([old], systemEntropy);
        const sealed = keyring.seal(job, env);
        const opened = keyring.open(job, sealed ?? { sealedEnv: undefined, sealingKeyId: undefined });
        expect(Object.entries(opened)).toEqual(Object.entries(env));
      }),
    );
    expect(Buffer.from(sealedBy([old]).sealedEnv).includes("marker")).toBe(false);
  });

  it("no env, nothing sealed", () => {
    expect(createKeyring([old], systemEntropy).seal(job, {})).toBeUndefined();
  });

  it("the first key seals, all open", () => {
    const sealed = sealedBy([old]);
    expect(createKeyring([fresh, old], systemEntropy).open(job, sealed)).toEqual({ A: "marker" });
    expect(sealedBy([fresh, old]).sealingKeyId).toBe(fingerprintOf(fresh));
  });

  it("an unknown key is told by its fingerprint", () => {
    const open = () => createKeyring([fresh], systemEntropy).open(job, sealedBy([old]));
    expect(open).toThrow(SealedByUnknownKeyError);
    expect(open).toThrow(fingerprintOf(old));
  });

  it.each([
    ["another tenant's", { ...job, tenantId: "u" }],
    ["another job's", { ...job, jobId: "0197aaaa-0000-7000-8000-000000000002" }],
  ])("%s values do not open", (_, other) => {
    expect(() => createKeyring([old], systemEntropy).open(other, sealedBy([old]))).toThrow("altered");
  });

  it("one changed byte anywhere is noticed, and the error shows nothing", () => {
    const sealed = sealedBy([old]);
    for (let at = 0; at < sealed.sealedEnv.byteLength; at++) {
      const sealedEnv = Uint8Array.from(sealed.sealedEnv, (byte, index) => (index === at ? byte ^ 1 : byte));
      const open = () => createKeyring([old], systemEntropy).open(job, { ...sealed, sealedEnv });
      expect(open).toThrow(/unknown form|altered/);
    }
  });

  it("the same job sealed twice looks different, so equal values do not show", () => {
    expect(sealedBy([old]).sealedEnv).not.toEqual(sealedBy([old]).sealedEnv);
  });

  it("jobs have keys of their own: even with one nonce for all, equal values look different", () => {
    const ciphertext = (jobId: string) => {
      const sealed = createKeyring([old], createSeededEntropy(1)).seal({ ...job, jobId }, { A: "x" });
      // Without format, nonce and tag; the tag differs by the associated data alone.
      return Buffer.from(sealed?.sealedEnv ?? []).subarray(13, -16);
    };
    expect(ciphertext("a")).toEqual(ciphertext("a"));
    expect(ciphertext("a")).not.toEqual(ciphertext("b"));
  });
});

describe("request hashes", () => {
  const hashes = (keys: readonly Uint8Array[], tenant = "t", request = "r") =>
    requestHashes(createKeyring(keys, systemEntropy), tenant, request);

  it("are the same for the same request, and differ by request, tenant and key", () => {
    expect(hashes([old])).toEqual(hashes([old]));
    const all = [hashes([old]), hashes([old], "u"), hashes([old], "t", "s"), hashes([fresh])].flat();
    expect(new Set(all).size).toBe(4);
  });

  it("outlive a change of keys for as long as the old one is held", () => {
    const [before] = hashes([old]);
    expect(hashes([fresh, old])).toContain(before);
    expect(hashes([fresh, old])[0]).toBe(hashes([fresh])[0]);
  });
});

describe("SECRETS_KEY", () => {
  const read = (value: string) =>
    readSettings({ SECRETS_KEY: secretsKey() }, { SECRETS_KEY: value }).SECRETS_KEY;
  const text = (key: Uint8Array) => Buffer.from(key).toString("base64");

  it("holds one key or several", () => {
    expect(read(text(old)).map(fingerprintOf)).toEqual([fingerprintOf(old)]);
    expect(read(`${text(fresh)}, ${text(old)}`).map(fingerprintOf)).toEqual([fresh, old].map(fingerprintOf));
  });

  it.each([
    "short",
    text(new Uint8Array(31)),
    `${text(old)},`,
    `${text(old)},!!`,
    `${text(old)} ${text(old)}`,
  ])("%s is refused, and not shown", (value) => {
    expect(() => read(value)).toThrow(ConfigError);
    expect(() => read(value)).not.toThrow(value);
  });
});
