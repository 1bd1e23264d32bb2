import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { requestFor, trusted } from "#pkg/batch/conformance/harness.ts";
import { TrustLapsedError } from "#pkg/batch/index.ts";
import { createSelfSigned } from "#test/gateway/self-signed.ts";
import type { World } from "./harness.ts";

const EMAIL = "worker@test-project.iam.gserviceaccount.com";
const SLEEPS = { entrypoint: "/bin/sleep", commands: ["300"] };

let folder: string;
let world: World;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-gcp-"));
  const tls = createSelfSigned();
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = {
    type: "service_account",
    project_id: "test-project",
    client_email: EMAIL,
    private_key_id: "test",
    private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
    // Nobody is asked: such a key signs its own tokens.
    token_uri: "http://127.0.0.1:9/token",
  };
  await writeFile(join(folder, "key.json"), JSON.stringify(key));
  await writeFile(join(folder, "roots.pem"), tls.cert);
  process.env.GOOGLE_APPLICATION_CREDENTIALS = join(folder, "key.json");
  // Read once, when the transport is loaded; so it is loaded only now.
  process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH = join(folder, "roots.pem");
  const { openWorld } = await import("./harness.ts");
  world = await openWorld({ cloud: { tls } });
  await world.provider.start();
});
afterAll(async () => {
  await world?.close();
  await rm(folder, { recursive: true });
});

const creates = () => world.cloud.calls.filter(({ method }) => method === "CreateJob");

it("every call over TLS shows the account's own token", async () => {
  const outcome = await world.provider.create(requestFor(SLEEPS), trusted());
  expect(outcome.kind).toBe("accepted");
  expect(world.cloud.calls.length).toBeGreaterThan(2);
  for (const { authorization } of world.cloud.calls) {
    const [, payload = ""] = /^Bearer [\w-]+\.([\w-]+)\.[\w-]+$/.exec(authorization ?? "") ?? [];
    expect(JSON.parse(Buffer.from(payload, "base64url").toString())).toMatchObject({ iss: EMAIL });
  }
});

it("the trust is looked at with the token in hand, and a create that lost it never leaves", async () => {
  const before = creates().length;
  const lapsed = {
    ...trusted(),
    assertTrusted() {
      throw new TrustLapsedError();
    },
  };
  await expect(world.provider.create(requestFor(SLEEPS), lapsed)).rejects.toThrow(TrustLapsedError);
  expect(creates()).toHaveLength(before);
});

it("a plain endpoint on loopback is shown no token", async () => {
  const { openWorld } = await import("./harness.ts");
  const clear = await openWorld();
  await clear.provider.start();
  expect(clear.cloud.calls.map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
  await clear.close();
});
