// Written by hand: the package's front door. What stands under jennah/ is generated.
export * from "./jennah/v1/deployment_service_pb.js";
export * from "./jennah/v1/job_pb.js";
