import { describe, expect, it } from "vitest";
import { isLoopbackHost } from "./loopback.ts";

describe("a Host on loopback", () => {
  it.each([
    "localhost",
    "LOCALHOST:8081",
    "127.0.0.1:80",
    "127.1.2.3",
    "[::1]:8081",
    "a.localhost:1",
    "localhost.",
    "0x7f.1",
  ])("%s is one", (host) => expect(isLoopbackHost(host)).toBe(true));
  it.each([
    "example.com",
    "localhost.example.com",
    "127.0.0.1.nip.io",
    "10.0.0.1",
    "[::]",
    "0.0.0.0",
    "",
    "a b",
    "localhost@evil.com",
  ])("%s is none", (host) => expect(isLoopbackHost(host)).toBe(false));
});
