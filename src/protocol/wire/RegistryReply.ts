/**
 * What a node reads from a registry's replies (rendezvous §4, §14.3). Members that both generations always send must be
 * there and valid, the rest is read leniently. What fails is a reply the caller cannot use, not an attack it must
 * survive; what a reply claims is never believed against a pinned key (architecture, rule 1).
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "./Address.ts"
import * as DecodeError from "./DecodeError.ts"

/** Reply to `register`. */
export interface Registered {
  readonly node: Address.NodeId
  readonly address: Address.Address
  /** The name now held; empty when none. */
  readonly hostname: string
  /** Why the name asked for was not taken; empty when it was. */
  readonly hostnameError: string
  /** The address the registry saw; newer servers only. */
  readonly observed: Endpoint.Endpoint | undefined
  /** 1 from newer servers, 0 from those of v1.2. */
  readonly protocolVersion: number
}

/** Reply to `lookup`. The endpoint is there for public nodes only. */
export interface LookedUp {
  readonly node: Address.NodeId
  readonly address: Address.Address
  readonly publicKey: Uint8Array
  readonly hostname: string
  readonly isPublic: boolean
  readonly endpoint: Endpoint.Endpoint | undefined
  readonly networks: ReadonlyArray<Address.NetworkId>
  readonly tags: ReadonlyArray<string>
  readonly taskExec: boolean
}

/** Reply to `resolve`. */
export interface Resolved {
  readonly node: Address.NodeId
  readonly endpoint: Endpoint.Endpoint
  readonly lanEndpoints: ReadonlyArray<Endpoint.Endpoint>
  /** The endpoint is a beacon: never try it directly. */
  readonly isRelayOnly: boolean
}

/** Reply to `resolve_hostname`. */
export interface ResolvedHostname {
  readonly node: Address.NodeId
  readonly address: Address.Address
  readonly hostname: string
  readonly isPublic: boolean
}

/** A relayed handshake request. */
export interface RelayedRequest {
  readonly from: Address.NodeId
  readonly justification: string
  readonly unixSeconds: number
}

/** A relayed answer to a handshake request of ours. */
export interface RelayedResponse {
  readonly from: Address.NodeId
  readonly accept: boolean
  readonly unixSeconds: number
}

/** Reply to `poll_handshakes`: both inboxes, now empty at the registry. */
export interface Polled {
  readonly requests: ReadonlyArray<RelayedRequest>
  readonly responses: ReadonlyArray<RelayedResponse>
}

/** Reply to `punch`. */
export interface PunchEndpoints {
  readonly a: Endpoint.Endpoint
  readonly b: Endpoint.Endpoint
}

/** One of the cards in the reply to `search_cards`. */
export interface FoundCard {
  readonly node: Address.NodeId
  /** The name that the registry has for the node; empty when none. */
  readonly hostname: string
  /** `{ card, signature }`, not checked. */
  readonly signed: Json.JsonObject
}

type Decoded<A> = Result.Result<A, DecodeError.DecodeError>

/** Reads the reply to `register`. */
export const registered = (reply: Json.JsonObject): Decoded<Registered> =>
  Result.map(identity(reply), (identity) => ({
    ...identity,
    hostname: Json.string(reply, "hostname"),
    hostnameError: Json.string(reply, "hostname_error"),
    observed: Endpoint.parse(Json.string(reply, "observed_addr")),
    protocolVersion: Json.unsigned(reply, "protocol_version", 16)
  }))

/** Reads the server's clock from the reply to `heartbeat`, in Unix seconds. */
export const heartbeatTime = (reply: Json.JsonObject): number => Json.integer(reply, "time")

/** Reputation (rendezvous §4.13). */
export const score = (reply: Json.JsonObject): number => Json.integer(reply, "polo_score")

/** Reads the reply to `lookup`. */
export const lookedUp = (reply: Json.JsonObject): Decoded<LookedUp> =>
  Result.flatMap(identity(reply), (identity) => {
    const publicKey = Bytes.fromBase64Lenient(Json.string(reply, "public_key"))
    if (publicKey?.length !== KEY_BYTES) return DecodeError.malformed("public_key")
    return Result.succeed({
      ...identity,
      publicKey,
      hostname: Json.string(reply, "hostname"),
      isPublic: Json.boolean(reply, "public"),
      endpoint: Endpoint.parse(Json.string(reply, "real_addr")),
      networks: Json.list(reply, "networks").flatMap((id) => (isNetwork(id) ? [Address.NetworkId(id)] : [])),
      tags: Json.strings(reply, "tags"),
      taskExec: Json.boolean(reply, "task_exec")
    })
  })

/** Reads the reply to `resolve`. */
export const resolved = (reply: Json.JsonObject): Decoded<Resolved> => {
  const endpoint = Endpoint.parse(Json.string(reply, "real_addr"))
  if (endpoint === undefined) return DecodeError.malformed("real_addr")
  const lanEndpoints = Json.strings(reply, "lan_addrs").slice(0, LAN_ENDPOINTS_MAX).map(Endpoint.parse)
  return Result.succeed({
    node: nodeId(reply, "node_id"),
    endpoint,
    lanEndpoints: lanEndpoints.filter((lan) => lan !== undefined),
    isRelayOnly: Json.boolean(reply, "relay_only")
  })
}

/** Reads the reply to `resolve_hostname`. */
export const resolvedHostname = (reply: Json.JsonObject): Decoded<ResolvedHostname> =>
  Result.map(identity(reply), (identity) => ({
    ...identity,
    hostname: Json.string(reply, "hostname"),
    isPublic: Json.boolean(reply, "public")
  }))

/** Reads the reply to `search_cards`, cards unread; what is no card comes to light when it is checked. */
export const foundCards = (reply: Json.JsonObject): ReadonlyArray<FoundCard> =>
  Json.objects(reply, "cards")
    .slice(0, FOUND_CARDS_MAX)
    .map((entry) => ({
      node: nodeId(entry, "node_id"),
      hostname: Json.string(entry, "hostname"),
      signed: { card: Json.member(entry, "card"), signature: Json.string(entry, "signature") }
    }))

/** Reads the reply to `poll_handshakes`; entries without a sender are skipped. */
export const polled = (reply: Json.JsonObject): Polled => ({
  requests: entries(reply, "requests").map((entry) => ({
    from: nodeId(entry, "from_node_id"),
    justification: Json.string(entry, "justification"),
    unixSeconds: Json.integer(entry, "timestamp")
  })),
  responses: entries(reply, "responses").map((entry) => ({
    from: nodeId(entry, "from_node_id"),
    accept: Json.boolean(entry, "accept"),
    unixSeconds: Json.integer(entry, "timestamp")
  }))
})

/** Reads the reply to `punch`. */
export const punchEndpoints = (reply: Json.JsonObject): Decoded<PunchEndpoints> => {
  const a = Endpoint.parse(Json.string(reply, "node_a_addr"))
  const b = Endpoint.parse(Json.string(reply, "node_b_addr"))
  return a === undefined || b === undefined ? DecodeError.malformed("node_addr") : Result.succeed({ a, b })
}

/** Node id and address, which must name the same node. */
const identity = (
  reply: Json.JsonObject
): Decoded<{ readonly node: Address.NodeId; readonly address: Address.Address }> => {
  const node = nodeId(reply, "node_id")
  const address = Address.parse(Json.string(reply, "address"))
  if (Result.isFailure(address)) return DecodeError.malformed("address")
  if (node === 0 || address.success.node !== node) return DecodeError.malformed("node_id")
  return Result.succeed({ node, address: address.success })
}

const entries = (reply: Json.JsonObject, key: string): ReadonlyArray<Json.JsonObject> =>
  Json.objects(reply, key).filter((entry) => nodeId(entry, "from_node_id") !== 0)

const nodeId = (object: Json.JsonObject, key: string): Address.NodeId => Address.NodeId(Json.unsigned(object, key, 32))

const isNetwork = (value: Json.Json): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff

const KEY_BYTES = 32
/** A peer's own list is this short at our registry; a longer one would make us send to many strangers. */
/** More than any registry of ours gives. */
const FOUND_CARDS_MAX = 64
const LAN_ENDPOINTS_MAX = 8
