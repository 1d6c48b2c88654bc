/**
 * The short ASCII texts that are signed for the registry (rendezvous §2.5, §14.3), with Ed25519 under the key stored
 * for the acting node, written in base64. Numbers are decimal. The `bound` forms cover the value as well.
 */
import type { NodeId } from "./Address.ts"

/** Both texts exactly as sent. Servers older than this form ignore the signature. */
export const register = (listenAddress: string, publicKey: string): string => `register:${listenAddress}:${publicKey}`

/** Keeps a node alive. */
export const heartbeat = (node: NodeId): string => `heartbeat:${node}`

/** The same with the time in Unix seconds, against replay. */
export const boundHeartbeat = (node: NodeId, unixSeconds: number): string => `heartbeat:${node}:${unixSeconds}`

/** Leaves. */
export const deregister = (node: NodeId): string => `deregister:${node}`

/** Asks for an endpoint; signed by the requester. */
export const resolve = (requester: NodeId, node: NodeId): string => `resolve:${requester}:${node}`

/** Asks for both endpoints; signed by the requester. */
export const punch = (a: NodeId, b: NodeId): string => `punch:${a}:${b}`

/** Reports a trusted peer. */
export const reportTrust = (node: NodeId, peer: NodeId): string => `report_trust:${node}:${peer}`

/** Takes it back. */
export const revokeTrust = (node: NodeId, peer: NodeId): string => `revoke_trust:${node}:${peer}`

/** A handshake request by relay, and every handshake message on port 444 (node §2.1). */
export const handshake = (from: NodeId, to: NodeId): string => `handshake:${from}:${to}`

/** Empties the inboxes. */
export const pollHandshakes = (node: NodeId): string => `poll_handshakes:${node}`

/** Answers a relayed handshake request. */
export const respondHandshake = (node: NodeId, peer: NodeId): string => `respond:${node}:${peer}`

/** Sets or clears the name. */
export const setHostname = (node: NodeId): string => `set_hostname:${node}`

/** Replaces the tags. */
export const setTags = (node: NodeId): string => `set_tags:${node}`

/** Shows or hides the endpoint. */
export const setVisibility = (node: NodeId): string => `set_visibility:${node}`

/** Offers or withdraws task execution. */
export const setTaskExec = (node: NodeId): string => `set_task_exec:${node}`

/** Ours: the reference lets anybody write anybody's score (rendezvous §4.13). */
export const addScore = (requester: NodeId, node: NodeId, points: number): string =>
  `update_polo_score:${requester}:${node}:${points}`

/** Publishes the capability card with that number; the card has a signature of its own. An extension of ours. */
export const publishCard = (node: NodeId, service: string, sequence: number): string =>
  `publish_card:${node}:${service}:${sequence}`

/** Takes the card of a service back. */
export const withdrawCard = (node: NodeId, service: string): string => `withdraw_card:${node}:${service}`

/** Changes the key, in the form of v1.2 that leaves the new key uncovered. */
export const rotateKey = (node: NodeId): string => `rotate:${node}`

/** Changes the key to exactly this one. */
export const boundRotateKey = (node: NodeId, newPublicKey: string): string => `rotate:${node}:${newPublicKey}`
