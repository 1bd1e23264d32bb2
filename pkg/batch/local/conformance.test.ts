import { describeBatchProvider } from "#pkg/batch/conformance/index.ts";
import { openLocalHarness } from "./testing.ts";

// Another shell, `busybox sh` say, is tried by hand with LOCAL_TEST_SHELL.
const shell = (process.env.LOCAL_TEST_SHELL || undefined)?.split(" ") as [string, ...string[]] | undefined;

describeBatchProvider("local", () => openLocalHarness(shell));
