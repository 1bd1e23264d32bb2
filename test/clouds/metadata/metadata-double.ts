import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "#pkg/clock/index.ts";

/** How the double answers from now on. */
export const Mood = {
  Well: "WELL",
  /** 500, as while the machine starts. */
  Fails: "FAILS",
  /** 404, as where no service account is attached. */
  Unknown: "UNKNOWN",
  /** Takes the question and says nothing. */
  Hangs: "HANGS",
  /** Closes the connection instead of answering. */
  Resets: "RESETS",
  /** 200 and a page, as a captive network answers. */
  Page: "PAGE",
  /** The token of somebody else's audience. */
  OtherAudience: "OTHER_AUDIENCE",
  /** A token without the header by which a metadata server is known. */
  Nameless: "NAMELESS",
} as const;
export type Mood = (typeof Mood)[keyof typeof Mood];

/** Speaks as the metadata server of Google's machines does, over loopback, as far as identity goes. */
export interface MetadataDouble {
  /** `host:port`, for `GCE_METADATA_HOST`. */
  readonly host: string;
  mood: Mood;
  /** The audiences that were asked for, in order; refused questions are not among them. */
  readonly asked: string[];
  /** What it refused, and why. */
  readonly refused: string[];
  /** Every token that it made. */
  readonly tokens: string[];
  /** Answers what `Mood.Hangs` kept waiting. */
  release(): void;
  /** Resolves when `count` questions were asked in all. */
  untilAsked(count: number): Promise<void>;
  /** What an audience does with a token: undefined when it is good, else why it is not. */
  faultOf(jwt: string | undefined, audience: string): string | undefined;
  /** Named so for the tests' own clean-up. */
  destroy(): void;
}

export interface MetadataDoubleOptions {
  /** What time the tokens are made by. */
  readonly clock: Clock;
  /** How long a token is good for. Seconds. */
  readonly ttlSeconds?: number;
}

const PATH = "/computeMetadata/v1/instance/service-accounts/default/identity";
/** A token is given again until so long before its end. */
const CACHED_UNTIL_SECONDS = 300;
const KEY = "the double's own";

export async function startMetadataDouble(options: MetadataDoubleOptions): Promise<MetadataDouble> {
  const { clock, ttlSeconds = 3600 } = options;
  const cache = new Map<string, { readonly jwt: string; readonly exp: number }>();
  const hanging = new Set<() => void>();
  const waiting = new Set<() => void>();
  const nowSeconds = () => Math.floor(clock.nowMs() / 1000);

  function tokenFor(audience: string): string {
    const known = cache.get(audience);
    if (known !== undefined && known.exp - nowSeconds() > CACHED_UNTIL_SECONDS) return known.jwt;
    const exp = nowSeconds() + ttlSeconds;
    const claims = {
      aud: audience,
      exp,
      iat: nowSeconds(),
      iss: "https://accounts.google.com",
      n: double.tokens.length,
    };
    const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
    const jwt = `${signed}.${signatureOf(signed)}`;
    cache.set(audience, { jwt, exp });
    double.tokens.push(jwt);
    return jwt;
  }

  function reply(response: ServerResponse, audience: string): void {
    const flavor = { "metadata-flavor": "Google", "content-type": "text/html" };
    switch (double.mood) {
      case Mood.Fails:
        return void response.writeHead(500, flavor).end("not now");
      case Mood.Unknown:
        return void response.writeHead(404, flavor).end("no service account");
      case Mood.Hangs:
        hanging.add(() => response.writeHead(200, flavor).end(tokenFor(audience)));
        return;
      case Mood.Resets:
        return void response.socket?.destroy();
      case Mood.Page:
        return void response.writeHead(200, flavor).end("<html>sign in</html>");
      case Mood.OtherAudience:
        return void response.writeHead(200, flavor).end(tokenFor(`${audience}.example`));
      case Mood.Nameless:
        return void response.writeHead(200).end(tokenFor(audience));
      case Mood.Well:
        return void response.writeHead(200, flavor).end(`${tokenFor(audience)}\n`);
    }
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://double");
    const audience = url.searchParams.get("audience");
    const fault = faultOfQuestion(request.headers, url);
    if (fault !== undefined || audience === null) {
      double.refused.push(fault ?? "no audience");
      response.writeHead(fault === undefined ? 400 : 403, { "metadata-flavor": "Google" }).end(fault);
      return;
    }
    double.asked.push(audience);
    reply(response, audience);
    for (const each of waiting) each();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  const double: MetadataDouble = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    mood: Mood.Well,
    asked: [],
    refused: [],
    tokens: [],
    release() {
      for (const each of hanging) each();
      hanging.clear();
    },
    untilAsked(count) {
      return new Promise((resolve) => {
        const check = () => {
          if (double.asked.length < count) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      });
    },
    faultOf(jwt, audience) {
      const [head, payload, signature] = jwt?.split(".") ?? [];
      if (payload === undefined || signature !== signatureOf(`${head}.${payload}`)) return "not signed";
      const { aud, exp } = JSON.parse(Buffer.from(payload, "base64url").toString());
      if (aud !== audience) return `for ${aud}`;
      return nowSeconds() < exp ? undefined : "expired";
    },
    destroy() {
      server.closeAllConnections();
      server.close();
    },
  };
  return double;
}

/** What the real one refuses: it must not be reached through a proxy or by a page in a browser. */
function faultOfQuestion(headers: NodeJS.Dict<string | string[]>, url: URL): string | undefined {
  if (headers["metadata-flavor"] !== "Google") return "no Metadata-Flavor";
  if (headers["x-forwarded-for"] !== undefined) return "X-Forwarded-For";
  if (url.pathname !== PATH) return `unknown path ${url.pathname}`;
  return url.searchParams.get("format") === "full" ? undefined : "format is not full";
}

function encode(claims: object): string {
  return Buffer.from(JSON.stringify(claims)).toString("base64url");
}

function signatureOf(signed: string): string {
  return createHmac("sha256", KEY).update(signed).digest("base64url");
}
