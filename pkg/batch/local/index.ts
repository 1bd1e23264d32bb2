/**
 * The local provider: a small batch system on this machine, for development and for the embedded default. Each attempt is
 * a detached process group in a folder of its own; the protocol stands in README.md.
 *
 * It promises that an attempt's program runs at most once, whoever launches it however often, and that it runs on,
 * ends in time, can be cancelled and is accounted for without any process of Jennah. It leaves to `cmd/worker` to keep
 * strangers out: every caller can run any program here.
 */
export { createLocalProvider, type LocalProviderOptions } from "./local-provider.ts";
