import { describeBatchProvider } from "#pkg/batch/conformance/index.ts";
import { openLocalHarness } from "./testing.ts";

describeBatchProvider("local", openLocalHarness);
