/**
 * The gateway: one address in front of all workers. It hashes the tenant onto the ring of workers and passes each call
 * through as HTTP, so that every RPC, also one added later, works in Connect, gRPC and gRPC-Web. Its protocol stands in
 * README.md.
 *
 * It promises that bytes, headers, trailers, backpressure, disconnects and reset codes pass both ways; that a call visits
 * at most two workers and none twice; that nothing is repeated that may not be; that private workers see who calls, and
 * nobody else sees the token by which they do; and that whatever a caller sends, the process serves on. What calls mean, and who may do what, it leaves to the workers.
 */
export { createGateway, type Gateway, type GatewayOptions } from "./gateway.ts";
export { createRpcTable, type KnownRpc, type RpcTable } from "./rpc-table.ts";
export { type GatewaySettings, readGatewaySettings, WorkerAuth } from "./settings.ts";
export type { WorkerAddress } from "./workers.ts";
