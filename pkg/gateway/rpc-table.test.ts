import { expect, it } from "vitest";
import { DeploymentService } from "#gen/jennah/v1/deployment_service_pb.js";
import { createRpcTable } from "./rpc-table.ts";

it("what the proto calls idempotent is repeatable, the rest by its job id alone", () => {
  const repeatable = (byJobId: ReadonlySet<string>) =>
    [...createRpcTable([DeploymentService], byJobId)]
      .filter(([, rpc]) => rpc.isRepeatable)
      .map(([path]) => path);
  const own = ["GetJob", "ListJobs", "CancelJob", "DeleteJob"].map(
    (name) => `/jennah.v1.DeploymentService/${name}`,
  );
  expect(repeatable(new Set())).toEqual(own);
  expect(repeatable(new Set(["SubmitJob", "RetryJob"]))).toHaveLength(own.length + 2);
});
