import { describeBatchProvider } from "#pkg/batch/conformance/index.ts";
import { openGcpHarness } from "./harness.ts";

describeBatchProvider("gcp", openGcpHarness);
