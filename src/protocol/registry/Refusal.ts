/**
 * Why the registry refuses a request. The reference answers every failure with the same text (rendezvous §2.3); we keep
 * that text and add the reason as `code` and `detail`, which old clients ignore.
 */
import { Result } from "effect"

/** Stable machine-readable reasons. */
export type RefusalCode =
  | "bad_public_key"
  | "bad_signature_encoding"
  | "beacon_field_required"
  | "card_refused"
  | "admin_token_required"
  | "field_required"
  | "handshake_inbox_full"
  | "handshake_pending"
  | "hostname_invalid"
  | "hostname_not_found"
  | "hostname_taken"
  | "key_chain_malformed"
  | "key_forked"
  | "key_in_use"
  | "key_retired"
  | "limit_exceeded"
  | "network_not_found"
  | "networks_disabled"
  | "node_not_found"
  | "not_participant"
  | "private_node"
  | "rate_limited"
  | "registry_full"
  | "replication_not_configured"
  | "rotation_held"
  | "signature_invalid"
  | "signature_required"
  | "tags_invalid"
  | "trust_pair_missing"
  | "unbound_rotation"
  | "unknown_type"
  | "unsigned_register"

/** One refusal; `detail` is the text the reference writes to its log, where it has one (rendezvous §2.4). */
export interface Refusal {
  readonly code: RefusalCode
  readonly detail: string
}

/** A refusal from its two members. */
export const make = (code: RefusalCode, detail: string): Refusal => ({ code, detail })

/** A failed result with that refusal. */
export const fail = (code: RefusalCode, detail: string): Result.Result<never, Refusal> => Result.fail({ code, detail })

/** No node of that id is registered now. */
export const nodeNotFound = (id: number): Refusal => ({ code: "node_not_found", detail: `node ${id}: node not found` })
