/**
 * Who may write a job's row: this worker's term and its lease, the watch over its peers' terms, and the claims of what
 * dead terms left behind. The protocol, its invariants and what each crash leaves stand in `README.md`.
 *
 * It promises that a term that is over is over for good, that `trustedForMs` never says more than the lease holds, and
 * that jobs of a dead worker are claimed within the TTL plus two claim intervals. It leaves to its user what to do with
 * the jobs that it claims, and to the store that a conditional write is one.
 */
export { createOwnership, type Ownership, type OwnershipOptions } from "./ownership.ts";
export { createPeerWatch, type PeerWatch } from "./peer-watch.ts";
