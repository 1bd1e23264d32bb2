import { describeGcpRules } from "./cloud-rules.ts";
import { openDoubleGcp } from "./double-gcp.ts";
import { openSimulatedGcp } from "./simulated-gcp.ts";

describeGcpRules("the simulation", openSimulatedGcp);
describeGcpRules("the adapter before the double", openDoubleGcp);
