/**
 * The adapter of GCP Batch: one project and region, over the vendor's client. README.md says what becomes of each field of a
 * job, of each answer of the cloud, and of each way in which a batch job can end.
 *
 * It promises one request per create, checked against the worker's trust when the connection stands and the credentials are
 * there; that a name taken before is adopted only when it is of this deployment and tenant; and that `cancel` never frees a
 * name. It leaves to Google what a container does, and to `dispatch` and `tracking` when to ask.
 */
export { createGcpProvider, type GcpProviderOptions } from "./gcp-provider.ts";
